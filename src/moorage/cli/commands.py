"""Every command: its name, the module that runs it, its options and what `--help` says."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moorage.cli.options import FIELDS, add_settings

CLIENTS = ("docker", "podman", "helm")
POLICY_KINDS = ("identity", "trust", "repository", "registry", "endpoint", "scp", "rcp")
SHELLS = ("sh", "fish", "powershell")


@dataclass(frozen=True, slots=True)
class Command:
    """`module`, in this package, has `run(arguments) -> int`; without one it is only a group of commands."""

    name: str
    module: str | None
    summary: str
    description: str
    examples: str
    options: tuple[Callable[[argparse.ArgumentParser], None], ...] = ()


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")


def _shell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shell", choices=SHELLS, default="sh", help="Whose syntax to print. Default: sh.")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--install", action="store_true", help="Put it where the AWS CLI and boto3 find it.")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="Where models are installed. Default: ~/.aws/models."
    )


def _new_account(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", dest="id", metavar="ID", help="Its 12-digit id; random without.")


def _new_certificate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        action="append",
        dest="hosts",
        metavar="NAME",
        help="A name or address of the server; may be given several times. Default: this machine, --hostname, aliases.",
    )
    parser.add_argument(
        "--account",
        action="append",
        dest="accounts",
        metavar="ID",
        help="An account for ECR's names; may be given several times. Default: all, by a wildcard.",
    )
    parser.add_argument(
        "--region",
        action="append",
        dest="regions",
        metavar="LABEL",
        help="A region for ECR's names; may be given several times. Default: the default region.",
    )
    parser.add_argument(
        "--name", default="server", metavar="NAME", help="Of the pair of files. Default: server."
    )


def _days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=int, default=397, metavar="NUMBER", help="How long it is good. Default: 397."
    )


def _client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", metavar="NAME", help="Of the client.")
    parser.add_argument("--uri", metavar="URI", help="Its identity. Default: spiffe://HOSTNAME/NAME.")


def _registry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="HOST:PORT", help="The registry, as it stands in names of images.")


def _trusted_issuer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--issuer", required=True, metavar="URL", help="As the `iss` of its tokens has it.")
    parser.add_argument(
        "--audience",
        action="append",
        dest="audiences",
        metavar="TEXT",
        help="What its tokens are for; may be given several times. Default: sts.amazonaws.com.",
    )
    parser.add_argument(
        "--jwks", metavar="FILE", help="Its public keys (JSON Web Key Set). Default: it is asked, over HTTPS."
    )
    parser.add_argument(
        "--account", dest="id", metavar="ID", help="Whose roles it is for. Default: the default account."
    )


def _only(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        action="append",
        choices=CLIENTS,
        help="Log in this client alone; may be given several times. Default: those found on PATH.",
    )


def _older_than(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--older-than", metavar="DAYS", help="Only keys that are at least so old.")


def _revoked(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--user", metavar="NAME", help="End what was issued to a user: sessions and passwords.")
    what.add_argument("--role", metavar="NAME", help="End what was issued to a role: sessions and passwords.")
    what.add_argument("--session", metavar="ID", help="End one session, by its key id ASIA…")
    what.add_argument(
        "--key", metavar="ID", help="Switch off an access key AKIA…, and what was made with it."
    )
    parser.add_argument("--before", metavar="TIME", help="Issued before that time, ISO 8601. Default: now.")
    parser.add_argument("--force", action="store_true", help="Also the last active key of its account.")
    _of_account(parser)


def _analyzed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="REPOSITORY", help="Its name.")
    parser.add_argument(
        "--action",
        action="append",
        metavar="ACTION",
        help="pull, push, delete or an action as ecr:PutImage; may be given several times. Default: the three.",
    )
    parser.add_argument("--principal", metavar="ARN", help="Only that root, user or role.")
    _of_account(parser)


def _checked(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="The policy; - is standard input.")
    parser.add_argument(
        "--kind",
        choices=POLICY_KINDS,
        help="What it is to be. Default: what it looks like (identity, trust or repository).",
    )


def _explained(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--principal", metavar="ARN", required=True, help="A root, user or role.")
    parser.add_argument("--action", metavar="ACTION", required=True, help="As ecr:PutImage.")
    parser.add_argument("--resource", metavar="ARN", required=True, help="An ARN, or *.")
    parser.add_argument(
        "--context",
        action="append",
        metavar="KEY=VALUE",
        help="A condition key of the request, as aws:SourceIp=10.0.0.1; may be given several times.",
    )


def _applied(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "repositories", nargs="*", metavar="REPOSITORY", help="Default: all that have a lifecycle policy."
    )
    parser.add_argument("--dry-run", action="store_true", help="Show what would go, and change nothing.")
    _of_account(parser)


def _lifecycle_explained(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="REPOSITORY", help="Its name.")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="A lifecycle policy to try. Default: the one it has."
    )
    _of_account(parser)


def _default_policy(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--put", type=Path, metavar="FILE", help="Have this one from now on.")
    what.add_argument("--remove", action="store_true", help="Have none from now on.")
    _of_account(parser)


def _used_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="REPOSITORY@DIGEST", help="The image.")
    parser.add_argument("--by", required=True, metavar="NAME", help="Who runs it: a cluster, a host.")
    _of_account(parser)


def _protected(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--until", metavar="TIME", help="When that ends, ISO 8601. Default: when it is taken back."
    )
    parser.set_defaults(verb="protect")
    _used_image(parser)


def _unprotected(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb="unprotect")
    _used_image(parser)


def _uses(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="REPOSITORY", help="Its name.")
    parser.set_defaults(verb="uses")
    _of_account(parser)


def _undeleted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "image", metavar="REPOSITORY[@DIGEST]", help="The image; without a digest, what can be is listed."
    )
    _of_account(parser)


def _job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, metavar="ID", help="Of the job, as `moorage jobs` lists it.")


def _records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--event", metavar="NAME", help="Only calls of that operation.")
    parser.add_argument("--user", metavar="NAME", help="Only calls of that user, or session of a role.")
    parser.add_argument("--key", metavar="ID", help="Only calls with that access key.")
    parser.add_argument("--resource", metavar="NAME", help="Only calls about that repository, user or role.")
    parser.add_argument("--denied", action="store_true", help="Only calls that were refused or failed.")
    parser.add_argument("--since", metavar="TIME", help="Not before that time, ISO 8601.")
    parser.add_argument(
        "--limit", type=int, default=100, metavar="NUMBER", help="At most so many, the newest. Default: 100."
    )


def _chained(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--head",
        metavar="HASH",
        help="That an earlier check has printed: what it covered must still be there.",
    )


def _of_account(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", dest="id", metavar="ID", help="The account. Default: the default one.")


_ALL = partial(add_settings, names=tuple(FIELDS))
_STORED = partial(add_settings, names=("data", "listen", "account", "region", "hostname", "root_key_file"))
_OPENED = partial(add_settings, names=("data", "root_key_file"))
_WHERE = partial(add_settings, names=("data",))
_CERTIFIED = partial(add_settings, names=("data", "certificates", "hostname", "domain"))
_TRUSTED = partial(add_settings, names=("data", "listen_tls", "hostname"))

COMMANDS = (
    Command(
        "serve",
        "serve",
        "run the registry",
        "Run the registry until SIGTERM or Ctrl-C; running transfers are finished first.\n"
        "An empty data directory is initialised: the root credentials are written to DIR/credentials\n"
        "(mode 0600) and their path is printed.",
        "moorage serve\n"
        "moorage serve --data /var/lib/moorage --listen 0.0.0.0:5050 --hostname registry.example\n"
        "MOORAGE_REGION=eu-west-1 moorage serve --config /etc/moorage.toml",
        (_ALL,),
    ),
    Command(
        "init",
        "init",
        "initialise a data directory without serving",
        "Make the data directory, the root key, the default account and its root credentials.\n"
        "What is there already stays.",
        "moorage init --account 123456789012\n"
        "moorage init --data /var/lib/moorage --root-key-file /etc/moorage/root.key",
        (_STORED, _json),
    ),
    Command(
        "env",
        "env",
        "print shell exports for the AWS CLI",
        "Print what makes the AWS CLI and every AWS SDK in this shell use this registry.\n"
        "Variables that would win over it are unset. The secret itself is not printed.",
        'eval "$(moorage env)"\n'
        "moorage env --shell fish | source\n"
        "moorage env --shell powershell | Out-String | Invoke-Expression",
        (_WHERE, _shell, _json),
    ),
    Command(
        "model",
        "model",
        "teach the AWS CLI and boto3 Moorage's own operations",
        "Print the description of what Moorage does and Amazon ECR does not, in the form in which the AWS CLI and\n"
        "boto3 have their services; --install puts it where they find it. Then `aws moorage help` lists the\n"
        "operations.",
        "moorage model --install\n"
        "moorage model --install --folder /usr/share/aws/models\n"
        "moorage model > service-2.json",
        (_model, _json),
    ),
    Command(
        "login",
        "login",
        "log docker, podman and helm in",
        "Get a registry password with the root credentials and hand it to the clients found on PATH,\n"
        "over their standard input. It is good for 12 hours.",
        "moorage login\nmoorage login --only docker --only helm",
        (_WHERE, _only, _json),
    ),
    Command(
        "doctor",
        "doctor",
        "check this installation and the clients of this machine",
        "Check the data directory, the server and the clients. Exit 1 if something is broken (✗);\n"
        "warnings (!) do not count.",
        "moorage doctor\nmoorage doctor --json",
        (_OPENED, _json),
    ),
    Command(
        "account", None, "create and list accounts", "Create and list the accounts.", "moorage account list"
    ),
    Command(
        "account create",
        "account_create",
        "create an account and its root credentials",
        "Create an account. Its root credentials are written to DIR/credentials-ID (mode 0600) and the\n"
        "path is printed. Works beside the running server.",
        "moorage account create\nmoorage account create --account 210987654321",
        (_new_account, _OPENED, _json),
    ),
    Command(
        "account key",
        "account_key",
        "make a new root access key, where the old one is lost or revoked",
        "Make a new root access key of an account and write it where the old one was: DIR/credentials, or\n"
        "DIR/credentials-ID of another than the default account. A file whose key is active is not\n"
        "replaced. Works beside the running server.",
        "moorage account key\nmoorage account key --account 210987654321",
        (_of_account, _OPENED, _json),
    ),
    Command(
        "account list",
        "account_list",
        "list the accounts",
        "List the accounts, the default one marked. Works beside the running server.",
        "moorage account list\nmoorage account list --json",
        (_OPENED, _json),
    ),
    Command(
        "revoke",
        "revoke",
        "end sessions and passwords, or switch off an access key",
        "Take access back at once. A running server refuses what was ended within half a second.\n"
        "The users and roles stay, and can log in again with what holds.",
        "moorage revoke --user ci\n"
        "moorage revoke --role deploy --before 2026-11-24T20:00:00Z\n"
        "moorage revoke --session ASIA0123456789ABCDEF\n"
        "moorage revoke --key AKIA0123456789ABCDEF",
        (_revoked, _OPENED, _json),
    ),
    Command(
        "access",
        "access",
        "show who may pull, push and delete, and why",
        "Show every root, user and role that may pull from a repository, push to it or delete in it, and which\n"
        "policy says so. What depends on the request is shown as a condition. Works beside the running server.",
        "moorage access team/app\n"
        "moorage access team/app --action push --action ecr:PutImageTagMutability\n"
        "moorage access team/app --principal arn:aws:iam::123456789012:user/ci --json",
        (_analyzed, partial(add_settings, names=("data", "region", "root_key_file")), _json),
    ),
    Command(
        "policy",
        None,
        "check policies and explain decisions",
        "Check policies before they are stored, and explain what was decided.",
        "moorage policy check policy.json",
    ),
    Command(
        "policy check",
        "policy_check",
        "check a policy before it is stored",
        "Say what is wrong with a policy, with line and column, and what its author may not have meant.\n"
        "Exit 1 if it cannot be stored; warnings do not count.",
        "moorage policy check policy.json\nmoorage policy check --kind trust - <trust.json",
        (_checked, _json),
    ),
    Command(
        "policy explain",
        "policy_explain",
        "explain why somebody may or may not do something",
        "Decide as at a request, and show every statement that has a say. Exit 1 if it is denied.\n"
        "Works beside the running server.",
        "moorage policy explain --principal arn:aws:iam::123456789012:user/ci --action ecr:PutImage \\\n"
        "  --resource arn:aws:ecr:us-east-1:123456789012:repository/app --context aws:SourceIp=10.0.0.1",
        (_explained, partial(add_settings, names=("data", "region", "root_key_file")), _json),
    ),
    Command(
        "lifecycle",
        None,
        "apply lifecycle policies, and say what they decide",
        "Apply lifecycle policies now, and say what they decide about each image.",
        "moorage lifecycle explain team/app\nmoorage lifecycle run --dry-run",
    ),
    Command(
        "lifecycle run",
        "lifecycle_run",
        "apply lifecycle policies now",
        "Have the running server apply lifecycle policies now instead of within the hour, and wait for it.\n"
        "With --dry-run nothing is changed, and no server is needed.",
        "moorage lifecycle run\nmoorage lifecycle run team/app --dry-run --json",
        (_applied, partial(add_settings, names=("data", "region", "root_key_file")), _json),
    ),
    Command(
        "lifecycle explain",
        "lifecycle_explain",
        "say for each image which rule decides, and why",
        "Say for each image of a repository which rule of its lifecycle policy decides about it, what would\n"
        "happen and why; --policy tries another policy. Nothing is changed. Works beside the running server.",
        "moorage lifecycle explain team/app\nmoorage lifecycle explain team/app --policy policy.json --json",
        (
            _lifecycle_explained,
            partial(add_settings, names=("data", "region", "root_key_file", "lifecycle_extensions")),
            _json,
        ),
    ),
    Command(
        "lifecycle default",
        "lifecycle_default",
        "show or change the policy of repositories without one",
        "Show the lifecycle policy of all repositories that have none of their own, put one, or remove it.\n"
        "It may have Moorage's extensions. Works beside the running server.",
        "moorage lifecycle default\nmoorage lifecycle default --put policy.json",
        (_default_policy, partial(add_settings, names=("data", "region", "root_key_file")), _json),
    ),
    Command(
        "lifecycle protect",
        "lifecycle_uses",
        "say that an image is in use, so that no policy takes it",
        "Register an image as in use by a cluster or a host: no lifecycle policy takes it. Works beside the\n"
        "running server.",
        "moorage lifecycle protect team/app@sha256:… --by cluster-1\n"
        "moorage lifecycle protect team/app@sha256:… --by cluster-1 --until 2027-01-01T00:00:00Z",
        (_protected, partial(add_settings, names=("data", "region", "root_key_file")), _json),
    ),
    Command(
        "lifecycle unprotect",
        "lifecycle_uses",
        "say that an image is no longer in use",
        "Take back that an image is in use. Works beside the running server.",
        "moorage lifecycle unprotect team/app@sha256:… --by cluster-1",
        (_unprotected, partial(add_settings, names=("data", "region", "root_key_file")), _json),
    ),
    Command(
        "lifecycle uses",
        "lifecycle_uses",
        "list which images are in use, and by whom",
        "List the images of a repository that are registered as in use. Works beside the running server.",
        "moorage lifecycle uses team/app\nmoorage lifecycle uses team/app --json",
        (_uses, partial(add_settings, names=("data", "region", "root_key_file")), _json),
    ),
    Command(
        "lifecycle undelete",
        "lifecycle_undelete",
        "bring back an image that a policy took",
        "Bring back an image that a lifecycle policy took within the last --undelete-hours of the server, with\n"
        "those of its tags that nobody has set since. Without a digest, list what can be brought back.",
        "moorage lifecycle undelete team/app\nmoorage lifecycle undelete team/app@sha256:…",
        (_undeleted, partial(add_settings, names=("data", "region", "root_key_file")), _json),
    ),
    Command(
        "certs",
        None,
        "make and list certificates",
        "Make and list certificates for HTTPS.",
        "moorage certs init\nmoorage certs issue\nmoorage certs trust",
    ),
    Command(
        "certs init",
        "certs_init",
        "make a certificate authority",
        "Make a certificate authority in DIR/ca, good for 10 years. Its key (mode 0600) signs what the other\n"
        "commands make; `moorage serve --listen-tls` makes one by itself where there is none.",
        "moorage certs init",
        (_WHERE, _json),
    ),
    Command(
        "certs issue",
        "certs_issue",
        "make a certificate for the server",
        "Make a certificate, signed by the authority, in the directory of certificates. It is good for the names\n"
        "of this machine and for ECR's names of the region. A running server takes it up by itself.",
        "moorage certs issue\n"
        "moorage certs issue --host registry.example --host 10.0.0.5 --days 90\n"
        "moorage certs issue --name office --account 123456789012 --region home-1",
        (_new_certificate, _days, _CERTIFIED, _json),
    ),
    Command(
        "certs client",
        "certs_client",
        "make a certificate for a client",
        "Make a certificate for a client of a private listener with `client_ca`, in DIR/clients.",
        "moorage certs client builder\nmoorage certs client builder --uri spiffe://example/builder --days 30",
        (_client, _days, partial(add_settings, names=("data", "hostname")), _json),
    ),
    Command(
        "certs trust",
        "certs_trust",
        "print how clients come to trust the authority",
        "Print, for each client, the commands that make it trust the authority. Nothing is run.",
        "moorage certs trust\nmoorage certs trust --host registry.example",
        (_registry, _TRUSTED, _json),
    ),
    Command(
        "certs list",
        "certs_list",
        "list the certificates that are served",
        "List the certificates that are served, with their names and when they expire.",
        "moorage certs list\nmoorage certs list --json",
        (partial(add_settings, names=("data", "certificates")), _json),
    ),
    Command(
        "keys",
        "keys",
        "list access keys, how old they are and when they were last used",
        "List the access keys of all accounts, the oldest first. A key is replaced, not changed: its age\n"
        "is the time since the last rotation. Works beside the running server, which writes down the last\n"
        "use every minute.",
        "moorage keys\nmoorage keys --older-than 90 --json",
        (_older_than, _OPENED, _json),
    ),
    Command(
        "jobs",
        "jobs",
        "list the work that waits, runs or has failed",
        "List the jobs: events on their way, lifecycle runs, replication and the like. What fails is tried\n"
        "again, each time later, and stays listed when it is given up. Works beside the running server.",
        "moorage jobs\nmoorage jobs --json",
        (_OPENED, _json),
    ),
    Command(
        "jobs retry",
        "jobs_retry",
        "have a job tried again at once",
        "Have a job tried again at once, also one that was given up.",
        "moorage jobs retry 17",
        (_job, _OPENED, _json),
    ),
    Command(
        "audit",
        "audit",
        "show who did what, and what was refused",
        "Show the calls on record, the newest first; with --json as AWS CloudTrail writes them. Works beside\n"
        "the running server, which writes what happens within a second.",
        "moorage audit --resource team/app\n"
        "moorage audit --denied --since 2026-11-24T20:00:00Z\n"
        "moorage audit --user ci --event PutImage --json",
        (_records, _OPENED, _json),
    ),
    Command(
        "audit verify",
        "audit_verify",
        "check that the record was not changed",
        "Work out the chain of hashes of the record again (setting `audit_chain`). Note the hash that is\n"
        "printed elsewhere: with --head a later check shows that nothing up to it was changed.",
        "moorage audit verify\n"
        "moorage audit verify --head 0f3a5d0c7e9b1d2f4a6c8e0b2d4f6a8c0e1f3b5d7a9c2e4f6b8d0a1c3e5f7092",
        (_chained, _OPENED, _json),
    ),
    Command(
        "oidc",
        None,
        "trust and list identity providers",
        "Trust and list the OpenID Connect providers whose tokens begin sessions of roles.",
        "moorage oidc list",
    ),
    Command(
        "oidc trust",
        "oidc_trust",
        "trust an identity provider, also one that cannot be reached",
        "Trust a provider as `aws iam create-open-id-connect-provider` does. With --jwks its keys are those\n"
        "of the file and it is never asked: for clusters without a public issuer, whose URL may then be\n"
        "http. Doing it again replaces audiences and keys. Works beside the running server.",
        "moorage oidc trust --issuer https://token.actions.githubusercontent.com\n"
        "kubectl get --raw /openid/v1/jwks > jwks.json\n"
        "moorage oidc trust --issuer https://kubernetes.default.svc.cluster.local --jwks jwks.json",
        (_trusted_issuer, _OPENED, _json),
    ),
    Command(
        "oidc list",
        "oidc_list",
        "list the identity providers",
        "List the providers of all accounts. Works beside the running server.",
        "moorage oidc list\nmoorage oidc list --json",
        (_OPENED, _json),
    ),
)
