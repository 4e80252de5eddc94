"""Every error a caller may meet.

A class is raised with facts (`RepositoryNotFound(name=..., registry_id=...)`); the doors give it its status and its
wire form. On the AWS wire the code is the class name plus `Exception`; the OCI codes are a table in `oci/errors.py`.
Texts are those that tools match on (reference: Amazon ECR API, "Common Errors").
Each file has what one subject may answer; `error.py` has what they share.
"""
