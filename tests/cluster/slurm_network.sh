# Sourced by slurm_cluster.sh: an address for each node. Sets controller_address, and node_address and port by node.
#
# With namespaces a node has its own network card, host name and hosts file, as a machine has. Where the kernel refuses
# them, and with SLURM_CLUSTER_NETWORK=loopback, all nodes share the loopback, told apart by port, and the machine's
# /etc/hosts gets a line for each.
network= bridge= controller_address=127.0.0.1
declare -A node_address node_port

free_ports() { # free_ports NUMBER: so many in a row, below the range that the kernel hands out
  python3 - "$1" <<'PY'
import random, socket, sys

def free(port):
    with socket.socket() as s:
        try:
            s.bind(("", port))
        except OSError:
            return False
        return True

count = int(sys.argv[1])
while not all(map(free, ports := range(start := random.randrange(12000, 19000), start + count))):
    pass
print(*ports)
PY
}

make_bridge() { # the first number that no other cluster on this machine has
  local number
  for number in $(seq 200); do
    if ip link add "pianoslurm$number" type bridge 2>/dev/null; then
      bridge=pianoslurm$number subnet=10.213.$number
      return 0
    fi
  done
  return 1
}

add_namespace() { # add_namespace NODE
  local space=$bridge-node$1 card=${bridge/pianoslurm/ps}n$1
  ip netns add "$space"
  ip link add "$card" type veth peer name eth0 netns "$space"
  ip link set "$card" master "$bridge" up
  ip -n "$space" addr add "$subnet.$1/24" dev eth0
  ip -n "$space" link set eth0 up
  ip -n "$space" link set lo up
}

make_network() {
  local ports node
  read -ra ports <<<"$(free_ports $((num_nodes + 2)))"
  controller_port=${ports[0]} database_port=${ports[1]}
  if [ "${SLURM_CLUSTER_NETWORK:-}" != loopback ] && unshare --mount --uts true 2>/dev/null && make_bridge; then
    network=namespaces controller_address=$subnet.254
    ip addr add "$controller_address/24" dev "$bridge"
    ip link set "$bridge" up
  else
    network=loopback
  fi
  for node in $(seq "$num_nodes"); do
    if [ $network = namespaces ]; then
      add_namespace "$node"
      node_address[$node]=$subnet.$node node_port[$node]=${ports[2]}
    else
      node_address[$node]=127.0.0.1 node_port[$node]=${ports[node + 1]}
    fi
  done
  echo $network >"$dir/network"
  echo "$bridge" >"$dir/bridge"
  write_hosts
}

write_hosts() {
  local node
  {
    echo "127.0.0.1 localhost"
    echo "$controller_address $(hostname -s)"
    for node in $(seq "$num_nodes"); do echo "${node_address[$node]} node$node # $dir"; done
  } >"$dir/hosts"
  # a server that refuses at once: torch looks addresses up, and with one that never answers each look-up takes 10 s
  echo 'nameserver 127.0.0.1' >"$dir/resolv.conf"
  # appended in place: in a container the file is often a mount, which cannot be replaced
  [ $network = namespaces ] || grep -F "# $dir" "$dir/hosts" >>/etc/hosts
}

remove_network() {
  local node kept
  if [ "$network" = namespaces ]; then
    for node in $(seq "$num_nodes"); do ip netns del "$bridge-node$node" 2>/dev/null; done
    ip link del "$bridge"
  elif [ "$network" = loopback ]; then
    kept=$(grep -vF "# $dir" /etc/hosts)
    printf '%s\n' "$kept" >/etc/hosts
  fi
}
