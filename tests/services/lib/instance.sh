# shellcheck shell=bash disable=SC2154
# An instance: one folder with the data, logs, configuration and ports of one set of servers.

# The folder of the instance in use where EMPORIA_SERVICES_DIR is unset is written here.
pointer=$cache/instance

instance_dir() { # prints the folder, or nothing
    if [ -n "${EMPORIA_SERVICES_DIR:-}" ]; then
        realpath --canonicalize-missing "$EMPORIA_SERVICES_DIR"
    elif [ -s "$pointer" ] && [ -d "$(cat "$pointer")" ]; then
        cat "$pointer"
    fi
}

# Whether dir is the folder of a complete instance.
is_instance() { [ -n "$dir" ] && [ -f "$dir/env" ]; }

# Sets dir, and fresh=yes where the instance did not exist.
open_or_create_instance() {
    dir=$(instance_dir)
    fresh=no
    if is_instance; then
        load_ports
        return
    fi
    # shellcheck disable=SC2034  # read by up
    fresh=yes
    mkdir -p "$cache"
    if [ -z "$dir" ]; then
        dir=$(mktemp -d "${TMPDIR:-/tmp}/emporia-services-XXXXXX")
        echo "$dir" >"$pointer"
    fi
    mkdir -p "$dir"/{conf/hadoop,conf/hbase,conf/kerberos,data,logs,run}
    choose_ports
    load_ports
    write_configuration
    write_env
}

open_instance() {
    dir=$(instance_dir)
    is_instance || fail "no services are up; start them with: make services-up"
    load_ports
}

# Removes what the instance made, and its folder where nothing else is in it.
remove_instance() { # keeps the logs where the argument is yes
    is_instance || return 0
    rm -rf "$dir"/{conf,data,run,ports,env}
    if [ "${1:-no}" = yes ]; then
        say "the logs are in $dir/logs"
    else
        rm -rf "$dir/logs"
        rmdir --ignore-fail-on-non-empty "$dir"
    fi
    if [ -s "$pointer" ] && [ "$(cat "$pointer")" = "$dir" ]; then rm -f "$pointer"; fi
}
