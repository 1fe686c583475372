package routing

import (
	"slices"

	"github.com/fado-project/fado/catalog"
)

// addressNo is the number of a storage address among those that a cluster's storage has had
// in this process; 0 is that of no address. Copies keep the number, so that a change of a
// cluster's storage touches no bucket: the copies that were learnt at another address are no
// hits from the next snapshot on, and are again once the cluster is back at theirs.
type addressNo uint8

// lastAddress is the number of all addresses that have none of their own because a cluster has
// had too many. It is never a cluster's present one, so that such copies are no hits.
const lastAddress addressNo = 1<<copyAtBits - 1

// addressTable has the addresses of each cluster's storage, by number less one. It only grows,
// and is shared by snapshots until it does.
type addressTable [][]int64

// address returns what a number stands for; 0 where that is not known.
func (t addressTable) address(id clusterID, n addressNo) int64 {
	if int(id) >= len(t) || n == 0 || int(n) > len(t[id]) {
		return 0
	}
	return t[id][n-1]
}

// addressNo returns the number of an address of a cluster's storage.
func (e *Editor) addressNo(id clusterID, address int64) addressNo {
	if address == 0 {
		return 0
	}
	t := e.next.tables.addresses
	if int(id) < len(t) {
		if i := slices.Index(t[id], address); i >= 0 {
			return addressNo(i + 1)
		}
		if len(t[id]) == int(lastAddress)-1 {
			return lastAddress
		}
	}
	t = slices.Clone(t)
	for int(id) >= len(t) {
		t = append(t, nil)
	}
	t[id] = append(slices.Clip(t[id]), address)
	e.next.tables.addresses = t
	return addressNo(len(t[id]))
}

// presentAddress returns the number of the address that a cluster's storage has now.
func (e *Editor) presentAddress(id clusterID, c *catalog.Cluster) addressNo {
	if c.Storage == nil {
		return 0
	}
	if n := e.addressNo(id, c.Storage.Address()); n != lastAddress {
		return n
	}
	return 0
}
