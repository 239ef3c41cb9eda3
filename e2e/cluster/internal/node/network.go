package node

import (
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// setUpNetwork gives the node its address. There is no default route, so nothing leaves.
func setUpNetwork() error {
	if err := bringUp("lo"); err != nil {
		return err
	}
	// A veth pair with both ends here: not every kernel has dummy devices.
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "node0"}, PeerName: "node0-peer"}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("add the node's network device: %w", err)
	}
	for _, name := range []string{"node0", "node0-peer"} {
		if err := bringUp(name); err != nil {
			return err
		}
	}
	address, err := netlink.ParseAddr(layout.NodePrefix)
	if err != nil {
		return fmt.Errorf("parse node address: %w", err)
	}
	if err := netlink.AddrAdd(pair, address); err != nil {
		return fmt.Errorf("set node address: %w", err)
	}
	return routeServices(pair)
}

// routeServices makes ClusterIPs reachable from the node: without a route, a connection fails
// before the rules of kube-proxy see it.
func routeServices(device netlink.Link) error {
	_, services, err := net.ParseCIDR(layout.ServiceNetwork)
	if err != nil {
		return fmt.Errorf("parse service network: %w", err)
	}
	index := device.Attrs().Index
	if index == 0 {
		link, err := netlink.LinkByName(device.Attrs().Name)
		if err != nil {
			return fmt.Errorf("find the node's network device: %w", err)
		}
		index = link.Attrs().Index
	}
	route := &netlink.Route{LinkIndex: index, Dst: services, Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("route services: %w", err)
	}
	return setForwarding()
}

func setForwarding() error {
	settings := map[string]string{"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "0"}
	for name, value := range settings {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	// Only where the kernel filters bridged packets at all.
	_ = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0)
	return nil
}

func bringUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find network device %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	return nil
}
