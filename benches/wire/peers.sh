# Configurations of the other servers, written as an operator with one core and this list would:
# one thread, no log, caches that hold everything, names looked up in the fastest way that each has.
#
# Sourced by run.sh and stress.sh, which set `lists`, `folder`, `port`, `upstream_port`, `threads` and
# `wire`. Each function sets `command`, or returns 1 if the server is not on the machine.
# shellcheck shell=bash disable=SC2034

peers=(unbound-zones unbound-rpz dnsdist dnsdist-batches knot-resolver pdns-recursor named dnsmasq)
# What answers on one thread of one process, whatever it is told.
single_threaded=(knot-resolver dnsmasq)

configure_unbound() { # FILE MODULES
    command -v unbound >/dev/null || return 1
    cat >"$1" <<END
server:
    interface: 127.0.0.1@$port
    access-control: 127.0.0.0/8 allow
    num-threads: $threads
    so-reuseport: yes
    do-ip6: no
    chroot: ""
    username: ""
    pidfile: ""
    directory: "$folder"
    use-syslog: no
    logfile: ""
    verbosity: 0
    module-config: "$2"
    minimal-responses: yes
    do-not-query-localhost: no
    outgoing-range: 8192
    num-queries-per-thread: 4096
    msg-cache-size: 128m
    rrset-cache-size: 256m
    msg-cache-slabs: $threads
    rrset-cache-slabs: $threads
    infra-cache-slabs: $threads
    key-cache-slabs: $threads
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@$upstream_port
END
    command=(unbound -d -c "$1")
}

configure_unbound-zones() {
    configure_unbound "$folder/unbound-zones.conf" iterator || return 1
    echo "include: \"$lists/unbound.conf\"" >>"$folder/unbound-zones.conf"
}

configure_unbound-rpz() {
    configure_unbound "$folder/unbound-rpz.conf" "respip iterator" || return 1
    cat >>"$folder/unbound-rpz.conf" <<END
rpz:
    name: "rpz.invalid"
    zonefile: "$lists/rpz.zone"
END
}

configure_dnsdist() {
    command -v dnsdist >/dev/null || return 1
    local file="$folder/dnsdist${1:-}.conf" thread
    echo "${2:-}" >"$file"
    for ((thread = 0; thread < threads; thread++)); do
        echo "addLocal(\"127.0.0.1:$port\", {reusePort=true})" >>"$file"
    done
    cat >>"$file" <<END
setACL("127.0.0.0/8")
setSecurityPollSuffix("")
setMaxUDPOutstanding(65535)
newServer({address="127.0.0.1:$upstream_port"})
getPool(""):setCache(newPacketCache(200000))
blocked = newDNSNameSet()
for name in io.lines("$lists/domains.txt") do
    blocked:add(newDNSName(name))
end
addAction(QNameSetRule(blocked), RCodeAction(DNSRCode.NXDOMAIN))
END
    command=(dnsdist --supervised --disable-syslog -C "$file")
}

configure_dnsdist-batches() {
    configure_dnsdist -batches "setUDPMultipleMessagesVectorSize(64)"
}

configure_knot-resolver() {
    command -v kresd >/dev/null || return 1
    mkdir -p "$folder/kresd"
    cat >"$folder/kresd.conf" <<END
net.listen('127.0.0.1', $port, { kind = 'dns' })
net.ipv6 = false
log_level('crit')
cache.open(500 * MB, 'lmdb://$folder/kresd/cache')
trust_anchors.remove('.')
policy.add(policy.rpz(policy.DENY, '$lists/rpz.zone', false))
policy.add(policy.all(policy.FORWARD({'127.0.0.1@$upstream_port'})))
END
    command=(kresd -n -q -c "$folder/kresd.conf" "$folder/kresd")
}

configure_pdns-recursor() {
    command -v pdns_recursor >/dev/null || return 1
    mkdir -p "$folder/pdns"
    cat >"$folder/pdns/recursor.conf" <<END
local-address=127.0.0.1
local-port=$port
allow-from=127.0.0.0/8
threads=$threads
reuseport=yes
pdns-distributes-queries=no
daemon=no
quiet=yes
loglevel=0
disable-syslog=yes
dnssec=off
security-poll-suffix=
dont-query=
forward-zones-recurse=.=127.0.0.1:$upstream_port
max-cache-entries=2000000
max-packetcache-entries=1000000
max-mthreads=8192
socket-dir=$folder/pdns
lua-config-file=$folder/pdns/rpz.lua
END
    echo "rpzFile('$lists/rpz.zone', {policyName='list'})" >"$folder/pdns/rpz.lua"
    command=(pdns_recursor --config-dir="$folder/pdns")
}

configure_named() {
    command -v named >/dev/null || return 1
    cat >"$folder/named.conf" <<END
options {
    directory "$folder";
    listen-on port $port { 127.0.0.1; };
    listen-on-v6 { none; };
    pid-file none;
    lock-file none;
    session-keyfile none;
    allow-query { 127.0.0.0/8; };
    recursion yes;
    forward only;
    forwarders { 127.0.0.1 port $upstream_port; };
    dnssec-validation no;
    minimal-responses yes;
    empty-zones-enable no;
    recursive-clients 10000;
    max-cache-size 1g;
    response-policy { zone "rpz.invalid"; } qname-wait-recurse no;
};
controls { };
logging { category default { null; }; };
zone "rpz.invalid" { type primary; file "$lists/rpz.zone"; notify no; };
END
    command=(named -f -n "$threads" -c "$folder/named.conf")
}

configure_dnsmasq() {
    command -v dnsmasq >/dev/null || return 1
    cat >"$folder/dnsmasq.conf" <<END
port=$port
listen-address=127.0.0.1
bind-interfaces
user=$(id -un)
keep-in-foreground
pid-file=
no-resolv
no-hosts
no-poll
server=127.0.0.1#$upstream_port
cache-size=200000
dns-forward-max=10000
conf-file=$lists/dnsmasq.conf
END
    command=(dnsmasq -C "$folder/dnsmasq.conf")
}
