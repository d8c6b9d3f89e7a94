# shellcheck shell=bash
# Java 17, Maven and Go: installed from Debian packages where missing.

need_tools() { # java|maven|go...
    local tool missing=()
    for tool in "$@"; do
        case $tool in
            java) command -v javac >/dev/null || missing+=(openjdk-17-jdk-headless) ;;
            maven) command -v mvn >/dev/null || missing+=(maven) ;;
            go) command -v go >/dev/null || missing+=(golang-go) ;;
        esac
    done
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
    for tool in "$@"; do
        case $tool in
            java) at_least 17 "$(javac -version 2>&1 | tr -dc '0-9.')" "Java" ;;
            # Older ones can neither build FerretDB nor fetch a newer Go themselves.
            go) at_least 1.21 "$(go env GOVERSION | tr -dc '0-9.')" "Go" ;;
        esac
    done
}

install_packages() { # PACKAGE...
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "missing programs; please run: sudo apt-get install --yes --no-install-recommends $*"
    fi
    say "installing $*"
    apt-get update >&2
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@" >&2
}

at_least() { # WANTED FOUND NAME
    [ "$(printf '%s\n' "$1" "$2" | sort --version-sort | head -n 1)" = "$1" ] || fail "$3 $2 is too old; please install $3 $1 or newer"
}
