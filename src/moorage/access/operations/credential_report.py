"""The IAM operations on the credential report. It is made when it is asked for, so it is never old or missing."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.identities.credential_report import report
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    GenerateCredentialReportRequest,
    GenerateCredentialReportResponse,
    GetCredentialReportRequest,
    GetCredentialReportResponse,
)
from moorage.base.clock import wire_seconds


@operation
async def generate_credential_report(
    call: Call, request: GenerateCredentialReportRequest
) -> GenerateCredentialReportResponse:
    return GenerateCredentialReportResponse(state="COMPLETE")


@operation
async def get_credential_report(
    call: Call, request: GetCredentialReportRequest
) -> GetCredentialReportResponse:
    text = await report(call.db, call.account)
    return GetCredentialReportResponse(
        content=text.encode(), report_format="text/csv", generated_time=wire_seconds(call.now)
    )
