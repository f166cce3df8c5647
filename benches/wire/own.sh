# Configurations of Portcullis: the list as text, and compiled.
#
# Sourced like peers.sh, after it.
# shellcheck shell=bash disable=SC2034

configure_own() { # SOURCE FORMAT
    cat >"$folder/portcullis.toml" <<END
[server]
listen = ["127.0.0.1:$port"]
threads = $threads
allow = ["127.0.0.0/8"]
[upstream]
servers = ["127.0.0.1:$upstream_port"]
[[list]]
name = "list"
source = "$lists/$1"
format = "$2"
END
    command=("$portcullis" serve -c "$folder/portcullis.toml")
}

configure_portcullis() { configure_own domains.txt domains; }
configure_portcullis-compiled() { configure_own domains.idx index; }
