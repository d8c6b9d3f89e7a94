# shellcheck shell=bash disable=SC2154,SC2191
# The servers by name: what each needs, and how it is started.

hdfs=(namenode datanode-1 datanode-2)
hbase=(zookeeper admin hmaster region-1 region-2 region-3 thrift-1 thrift-2 thrift-admin)
mongodb=(ferretdb ferretdb-auth)
# These are started by the tests that are about them only.
kerberos=(kdc secure-namenode secure-datanode)
all=("${hdfs[@]}" "${hbase[@]}" "${mongodb[@]}" "${kerberos[@]}" mongo-java)

# The one user of ferretdb-auth; tests search plans and logs for the password, so it is no common word.
mongodb_user=emporia
mongodb_password=open-sesame-7c1e

# What HBase needs of Java 17, as its own launcher passes it.
java17=(
    -Dorg.apache.hbase.thirdparty.io.netty.tryReflectionSetAccessible=true
    --add-modules=jdk.unsupported
    --add-opens=java.base/{java.io,java.nio,sun.nio.ch,java.lang,jdk.internal.ref,java.lang.reflect,java.util,java.util.concurrent}=ALL-UNNAMED
    --add-exports=java.base/{jdk.internal.misc,sun.net.dns,sun.net.util}=ALL-UNNAMED
    --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED
)

# Small processes that start fast. Benchmarks ask for fast ones: the compiler that servers are run with, and more memory.
java_options=(
    -XX:MaxDirectMemorySize=128m -Xss512k
    -XX:+ExitOnOutOfMemoryError -XX:-UsePerfData -Djava.net.preferIPv4Stack=true -Djava.awt.headless=true
)
if [ -n "${EMPORIA_SERVICES_FAST:-}" ]; then
    java_options+=(-XX:+UseParallelGC -XX:NewRatio=1)
    heap_factor=4
    # FerretDB's own heap of a few MiB is collected all the time otherwise.
    export GOGC=800
else
    java_options+=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1)
    heap_factor=1
fi

known() { # NAME
    local name
    for name in "${all[@]}"; do
        [ "$name" = "$1" ] && return 0
    done
    fail "no service $1; there are: ${all[*]}"
}

# Prints the services that the names and groups stand for, in starting order, with what they need.
expand() { # NAME|GROUP...
    local wanted=" " name
    [ $# -gt 0 ] || set -- hdfs hbase mongodb
    for name in "$@"; do
        case $name in
            hdfs) wanted+="${hdfs[*]} " ;;
            hbase) wanted+="${hdfs[*]} ${hbase[*]} " ;;
            mongodb) wanted+="${mongodb[*]} " ;;
            kerberos) wanted+="${kerberos[*]} " ;;
            *) known "$name" && wanted+="$name " ;;
        esac
    done
    for name in "${all[@]}"; do
        case $wanted in *" $name "*) echo "$name" ;; esac
    done
}

port_of() { # NAME
    local variable=port_${1//-/_}
    echo "${!variable}"
}

# The class paths of the two kinds of Java programs.
declare -A jars=()

launch_java() { # NAME hadoop|hbase|kerberos|mongo-java MEGABYTES CLASS ARG...
    local name=$1 kind=$2 heap=$3
    shift 3
    CLASSPATH=$dir/conf/$kind:${jars[$kind]} launch "$name" java -Xmx"$((heap * heap_factor))"m "${java_options[@]}" "${java17[@]}" \
        -Demporia.services="$dir" "$@"
}

start_service() { # NAME
    local krb5_conf=-Djava.security.krb5.conf=$dir/data/kdc/krb5.conf
    local name=$1 port web=port_${1//-/_}_http ipc=port_${1//-/_}_ipc
    port=$(port_of "$name")
    case $name in
        namenode)
            [ -d "$dir/data/namenode" ] || format_namenode hadoop
            launch_java "$name" hadoop 256 org.apache.hadoop.hdfs.server.namenode.NameNode
            ;;
        datanode-*)
            launch_java "$name" hadoop 192 org.apache.hadoop.hdfs.server.datanode.DataNode \
                -D dfs.datanode.data.dir="file://$dir/data/$name" \
                -D dfs.datanode.address="127.0.0.1:$port" \
                -D dfs.datanode.http.address="127.0.0.1:${!web}" \
                -D dfs.datanode.ipc.address="127.0.0.1:${!ipc}"
            ;;
        kdc)
            launch_java "$name" kerberos 64 Kdc "$port" "$dir/data/kdc"
            ;;
        secure-namenode)
            [ -d "$dir/data/secure-namenode" ] || format_namenode kerberos
            launch_java "$name" kerberos 192 "$krb5_conf" org.apache.hadoop.hdfs.server.namenode.NameNode
            ;;
        secure-datanode)
            launch_java "$name" kerberos 160 "$krb5_conf" org.apache.hadoop.hdfs.server.datanode.DataNode
            ;;
        zookeeper)
            launch_java "$name" hbase 128 org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/conf/zoo.cfg"
            ;;
        admin)
            launch_java "$name" hbase 128 Admin "$port" \
                "region-1=$port_region_1,region-2=$port_region_2,region-3=$port_region_3"
            ;;
        hmaster)
            launch_java "$name" hbase 384 org.apache.hadoop.hbase.master.HMaster start
            ;;
        region-*)
            launch_java "$name" hbase 512 org.apache.hadoop.hbase.regionserver.HRegionServer \
                -D hbase.regionserver.port="$port" start
            ;;
        thrift-admin)
            launch_java "$name" hbase 384 org.apache.hadoop.hbase.thrift2.ThriftServer \
                -p "$port" -b 127.0.0.1 --infoport -1 start
            ;;
        thrift-*)
            launch_java "$name" hbase 384 org.apache.hadoop.hbase.thrift.ThriftServer \
                -p "$port" -b 127.0.0.1 --infoport -1 start
            ;;
        mongo-java)
            mkdir -p "$dir/conf/mongo-java"
            launch_java "$name" mongo-java 256 MongoJava "$port"
            ;;
        ferretdb) launch_ferretdb "$name" "$port" ;;
        ferretdb-auth)
            launch_ferretdb "$name" "$port" --test-enable-new-auth --setup-database=admin \
                --setup-username="$mongodb_user" --setup-password="$mongodb_password"
            ;;
    esac
}

launch_ferretdb() { # NAME PORT OPTION...
    local name=$1 port=$2 data=$dir/data/$1
    shift 2
    mkdir -p "$data"
    launch "$name" "$(ferretdb_program)" --handler=sqlite --sqlite-url="file:$data/?_pragma=synchronous(off)" \
        --listen-addr="127.0.0.1:$port" --debug-addr=- --state-dir="$data" --telemetry=disable "$@"
}

format_namenode() { # hadoop|kerberos
    CLASSPATH=$dir/conf/$1:${jars[$1]} setsid --wait bash -c "$preferred" _ \
        java "${java_options[@]}" "-Djava.security.krb5.conf=$dir/data/kdc/krb5.conf" \
        org.apache.hadoop.hdfs.server.namenode.NameNode -format -force -nonInteractive \
        >>"$dir/logs/namenode.log" 2>&1 || fail_with_log namenode "could not be formatted"
}
