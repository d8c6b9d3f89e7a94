# shellcheck shell=bash disable=SC2154
# The configuration files of an instance, and the env file for the tests.

property() { # NAME VALUE...
    while [ $# -gt 0 ]; do
        printf '  <property><name>%s</name><value>%s</value></property>\n' "$1" "$2"
        shift 2
    done
}

site() { # FILE NAME VALUE...
    local file=$1
    shift
    { printf '<?xml version="1.0"?>\n<configuration>\n' && property "$@" && printf '</configuration>\n'; } >"$file"
}

write_configuration() {
    write_hadoop_configuration
    write_zookeeper_configuration
    write_hbase_configuration
    write_kerberos_configuration
    local conf
    for conf in hadoop hbase kerberos; do
        cp "$here/log4j.properties" "$dir/conf/$conf/log4j.properties"
    done
}

write_hadoop_configuration() {
    # The web servers insist on these folders; the jars on Maven Central have none.
    mkdir -p "$dir"/conf/hadoop/webapps/{hdfs,datanode}

    site "$dir/conf/hadoop/core-site.xml" \
        fs.defaultFS "hdfs://127.0.0.1:$port_namenode" \
        hadoop.tmp.dir "$dir/data/hadoop" \
        hadoop.http.staticuser.user "$(id -un)"

    # A dead DataNode is given up after 2 x recheck + 10 x heartbeat = 20 s.
    # A block that loses one of two DataNodes while it is written goes on with the other.
    site "$dir/conf/hadoop/hdfs-site.xml" \
        dfs.replication 2 \
        dfs.permissions.enabled true \
        dfs.namenode.name.dir "file://$dir/data/namenode" \
        dfs.namenode.rpc-address "127.0.0.1:$port_namenode" \
        dfs.namenode.http-address "127.0.0.1:$port_namenode_http" \
        dfs.namenode.safemode.extension 0 \
        dfs.namenode.handler.count 8 \
        dfs.namenode.fs-limits.min-block-size 1024 \
        dfs.namenode.datanode.registration.ip-hostname-check false \
        dfs.namenode.heartbeat.recheck-interval 5000 \
        dfs.namenode.stale.datanode.interval 5000 \
        dfs.namenode.reconstruction.pending.timeout-sec 10 \
        dfs.heartbeat.interval 1 \
        dfs.datanode.hostname 127.0.0.1 \
        dfs.datanode.handler.count 4 \
        dfs.datanode.sync.behind.writes false \
        dfs.client.block.write.replace-datanode-on-failure.policy NEVER \
        dfs.client.socket-timeout 15000
}

# An HDFS that asks for Kerberos and encrypts all it sends, for its servers and their clients.
write_kerberos_configuration() {
    local conf=$dir/conf/kerberos kdc=$dir/data/kdc realm=EMPORIA.TEST
    mkdir -p "$conf"/webapps/{hdfs,datanode}

    site "$conf/core-site.xml" \
        fs.defaultFS "hdfs://localhost:$port_secure_namenode" \
        hadoop.tmp.dir "$dir/data/kerberos" \
        hadoop.http.staticuser.user "$(id -un)" \
        hadoop.security.authentication kerberos \
        hadoop.security.authorization true \
        hadoop.user.group.static.mapping.overrides "shop=supergroup" \
        hadoop.rpc.protection privacy

    # Ports below 1024, or certificates, are what a DataNode else asks for.
    site "$conf/hdfs-site.xml" \
        dfs.replication 1 \
        dfs.namenode.name.dir "file://$dir/data/secure-namenode" \
        dfs.namenode.rpc-address "localhost:$port_secure_namenode" \
        dfs.namenode.http-address "127.0.0.1:$port_secure_namenode_http" \
        dfs.namenode.safemode.extension 0 \
        dfs.namenode.datanode.registration.ip-hostname-check false \
        dfs.namenode.kerberos.principal "hdfs/localhost@$realm" \
        dfs.namenode.keytab.file "$kdc/servers.keytab" \
        dfs.datanode.kerberos.principal "hdfs/localhost@$realm" \
        dfs.datanode.keytab.file "$kdc/servers.keytab" \
        dfs.web.authentication.kerberos.principal "HTTP/localhost@$realm" \
        dfs.web.authentication.kerberos.keytab "$kdc/servers.keytab" \
        dfs.block.access.token.enable true \
        dfs.data.transfer.protection privacy \
        ignore.secure.ports.for.testing true \
        dfs.datanode.hostname localhost \
        dfs.datanode.data.dir "file://$dir/data/secure-datanode" \
        dfs.datanode.address "127.0.0.1:$port_secure_datanode" \
        dfs.datanode.http.address "127.0.0.1:$port_secure_datanode_http" \
        dfs.datanode.ipc.address "127.0.0.1:$port_secure_datanode_ipc"
}

write_zookeeper_configuration() {
    cat >"$dir/conf/zoo.cfg" <<CFG
dataDir=$dir/data/zookeeper
clientPort=$port_zookeeper
clientPortAddress=127.0.0.1
tickTime=2000
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=ruok
CFG
}

write_hbase_configuration() {
    # The connection to the NameNode is tried for a minute, each second: it may be restarted on purpose.
    site "$dir/conf/hbase/core-site.xml" \
        fs.defaultFS "hdfs://127.0.0.1:$port_namenode" \
        dfs.client.retry.policy.enabled true \
        dfs.client.retry.policy.spec 1000,60
    cp "$dir/conf/hadoop/hdfs-site.xml" "$dir/conf/hbase/hdfs-site.xml"

    # Benchmarks write much: servers flush as late as HBase does by itself.
    local flush_bytes=33554432
    [ -z "${EMPORIA_SERVICES_FAST:-}" ] || flush_bytes=134217728

    # The retries of a gateway end before the operation timeout, so it answers within a minute whatever fails.
    # Old logs and files would fill the disk of a test machine; nothing here asks for them again.
    site "$dir/conf/hbase/hbase-site.xml" \
        hbase.cluster.distributed true \
        hbase.rootdir "hdfs://127.0.0.1:$port_namenode/hbase" \
        hbase.tmp.dir "$dir/data/hbase" \
        hbase.zookeeper.quorum 127.0.0.1 \
        hbase.zookeeper.property.clientPort "$port_zookeeper" \
        zookeeper.session.timeout 20000 \
        hbase.master.hostname 127.0.0.1 \
        hbase.master.ipc.address 127.0.0.1 \
        hbase.master.port "$port_hmaster" \
        hbase.master.info.port -1 \
        hbase.master.wait.on.regionservers.mintostart 1 \
        hbase.master.wait.on.regionservers.maxtostart 3 \
        hbase.master.wait.on.regionservers.timeout 3000 \
        hbase.regionserver.msginterval 1000 \
        hbase.unsafe.regionserver.hostname 127.0.0.1 \
        hbase.regionserver.ipc.address 127.0.0.1 \
        hbase.regionserver.info.port -1 \
        hbase.regionserver.handler.count 10 \
        hbase.regionserver.metahandler.count 5 \
        hbase.lease.recovery.first.pause 2000 \
        hbase.lease.recovery.dfs.timeout 10000 \
        hbase.hregion.memstore.flush.size "$flush_bytes" \
        hbase.master.logcleaner.ttl 10000 \
        hbase.master.hfilecleaner.ttl 10000 \
        hbase.master.cleaner.interval 10000 \
        hfile.block.cache.size 0.2 \
        hbase.thrift.info.port -1 \
        hbase.thrift.server.socket.read.timeout 60000 \
        hbase.client.scanner.timeout.period 20000 \
        hbase.client.operation.timeout 45000 \
        hbase.client.meta.operation.timeout 45000 \
        hbase.client.retries.number 12 \
        hbase.client.pause 100 \
        hbase.rpc.timeout 15000
}

env_lines() {
    cat <<ENV
EMPORIA_SERVICES_DIR=$dir
EMPORIA_TEST_HDFS=hdfs://127.0.0.1:$port_namenode
EMPORIA_TEST_HDFS_WEB=http://127.0.0.1:$port_namenode_http
EMPORIA_TEST_HADOOP_CONF=$dir/conf/hadoop
EMPORIA_TEST_HBASE_GATEWAYS=127.0.0.1:$port_thrift_1,127.0.0.1:$port_thrift_2
EMPORIA_TEST_HBASE_ADMIN_GATEWAY=127.0.0.1:$port_thrift_admin
EMPORIA_TEST_HBASE_ZOOKEEPER=127.0.0.1:$port_zookeeper
EMPORIA_TEST_MONGODB_URI=mongodb://127.0.0.1:$port_ferretdb/
EMPORIA_TEST_KERBEROS_HDFS=hdfs://localhost:$port_secure_namenode
EMPORIA_TEST_KERBEROS_CONF=$dir/conf/kerberos
EMPORIA_TEST_KERBEROS_KDC=$dir/data/kdc
EMPORIA_TEST_MONGODB_DECIMAL_URI=mongodb://127.0.0.1:$port_mongo_java/
EMPORIA_TEST_MONGODB_AUTH_URI=mongodb://$mongodb_user:$mongodb_password@127.0.0.1:$port_ferretdb_auth/
ENV
}

write_env() { env_lines >"$dir/env"; }
