# An instance: one folder with the data, logs, configuration and ports of one set of servers.

# The folder of the instance in use where EMPORIA_SERVICES_DIR is unset is written here.
pointer=$cache/instance

instance_dir() { # prints the folder, or nothing
    if [ -n "${EMPORIA_SERVICES_DIR:-}" ]; then
        printf '%s' "$EMPORIA_SERVICES_DIR"
    elif [ -s "$pointer" ] && [ -d "$(cat "$pointer")" ]; then
        cat "$pointer"
    fi
}

# Sets dir, and fresh=yes where the instance did not exist.
open_or_create_instance() {
    dir=$(instance_dir)
    fresh=no
    [ -n "$dir" ] && [ -f "$dir/ports" ] && { load_ports; return; }
    fresh=yes
    mkdir -p "$cache"
    if [ -z "$dir" ]; then
        dir=$(mktemp -d "${TMPDIR:-/tmp}/emporia-services-XXXXXX")
        echo "$dir" >"$pointer"
    fi
    mkdir -p "$dir"/{conf/hadoop,conf/hbase,data,logs,run}
    choose_ports
    load_ports
    write_configuration
    write_env
}

open_instance() {
    dir=$(instance_dir)
    [ -n "$dir" ] && [ -f "$dir/ports" ] || fail "no services are up; start them with: make services-up"
    load_ports
}

remove_instance() { # keeps the logs where the argument is yes
    if [ "${1:-no}" = yes ]; then
        rm -rf "$dir"/{conf,data,run,ports,env}
        say "the logs are in $dir/logs"
    else
        rm -rf "$dir"
    fi
    if [ -s "$pointer" ] && [ "$(cat "$pointer")" = "$dir" ]; then rm -f "$pointer"; fi
}
