# shellcheck shell=bash disable=SC2154
# What is fetched and compiled once and kept outside the checkout: jars, Admin.class, FerretDB.
# Everything is named by the hash of what it was made from, so a change here makes it anew.

cache=${EMPORIA_CACHE:-$HOME/.cache/emporia/services}

maven_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1
ferretdb_version=v1.24.2
ferretdb_sum=h1:trrUU0LbmusMbyubhPS1IELncvrIwKrsRT2LW1UUWCw=

hash_of() { cat "$@" | sha256sum | cut -c1-16; }

jars_list() { printf '%s' "$cache/$1-$(hash_of "$here/maven/$1.xml").classpath"; } # hadoop|hbase

classes_of() { printf '%s' "$cache/$1-$(hash_of "$here/java/$1.java" "$here/maven/$2.xml")"; } # PROGRAM JARS

ferretdb_program() { printf '%s' "$cache/ferretdb-$ferretdb_version-$(hash_of "$here/ferretdb.patch")"; }

fill_cache() { # NAME...  (hadoop, hbase, ferretdb, kerberos, mongo-java)
    local name
    mkdir -p "$cache"
    (
        flock 9
        for name in "$@"; do
            case $name in
                hadoop) fetch_jars hadoop ;;
                hbase)
                    fetch_jars hbase
                    compile_java Admin hbase
                    ;;
                kerberos)
                    fetch_jars kerberos
                    compile_java Kdc kerberos
                    ;;
                mongo-java)
                    fetch_jars mongo-java
                    compile_java MongoJava mongo-java
                    ;;
                ferretdb) build_ferretdb ;;
            esac
        done
    ) 9>"$cache/lock"
    load_jars "$@"
}

# Sets jars to the class paths by name, without the configuration of an instance.
# shellcheck disable=SC2034
load_jars() { # NAME...
    local name
    for name in "$@"; do
        case $name in
            hadoop) jars[hadoop]=$(<"$(jars_list hadoop)") ;;
            hbase) jars[hbase]=$(<"$(jars_list hbase)"):$(classes_of Admin hbase) ;;
            kerberos) jars[kerberos]=$(<"$(jars_list hadoop)"):$(<"$(jars_list kerberos)"):$(classes_of Kdc kerberos) ;;
            mongo-java) jars[mongo-java]=$(<"$(jars_list mongo-java)"):$(classes_of MongoJava mongo-java) ;;
        esac
    done
}

fetch_jars() { # NAME
    local pom=$here/maven/$1.xml list
    list=$(jars_list "$1")
    [ -s "$list" ] && return 0
    need_tools java maven
    say "fetching the jars of $1 from Maven Central"
    mvn --batch-mode -Dmaven.repo.local="$cache/maven" --file "$pom" \
        $maven_plugin:build-classpath -DincludeScope=runtime -Dmdep.outputFile="$list.new" \
        >"$cache/maven.log" 2>&1 || fail "Maven could not fetch them; see $cache/maven.log"
    mv "$list.new" "$list"
}

compile_java() { # PROGRAM JARS
    local classes
    classes=$(classes_of "$1" "$2")
    [ -d "$classes" ] && return 0
    need_tools java
    rm -rf "$classes.new"
    javac -nowarn -Xlint:-options -cp "$(<"$(jars_list "$2")")" -d "$classes.new" "$here/java/$1.java"
    mv "$classes.new" "$classes"
}

# Not `go install`: the program does not start without a version file, which the released module lacks,
# and ferretdb.patch mends defects of it.
build_ferretdb() {
    local program module source
    program=$(ferretdb_program)
    [ -x "$program" ] && return 0
    need_tools go
    say "building FerretDB $ferretdb_version from the Go module proxy"
    module=$(go mod download -json "github.com/FerretDB/FerretDB@$ferretdb_version") || fail "Go could not fetch it: $module"
    [ "$(json_field Sum <<<"$module")" = "$ferretdb_sum" ] || fail "unexpected checksum: $module"
    source=$cache/ferretdb-source
    rm -rf "$source"
    cp -r "$(json_field Dir <<<"$module")" "$source"
    chmod -R u+w "$source"
    echo "$ferretdb_version" >"$source/build/version/version.txt"
    # Without the ceiling a repository around the cache would be found, and the patch silently skipped.
    (cd "$source" && GIT_CEILING_DIRECTORIES=$cache git apply "$here/ferretdb.patch")
    (cd "$source" && nice -n 10 go build -buildvcs=false -trimpath -tags ferretdb_no_postgresql -o "$program.new" ./cmd/ferretdb) \
        >"$cache/ferretdb.log" 2>&1 || fail "FerretDB was not built; see $cache/ferretdb.log"
    mv "$program.new" "$program"
    rm -rf "$source"
}

json_field() { sed -n 's/^\t"'"$1"'": "\(.*\)",\{0,1\}$/\1/p'; }
