package caddymodule

import (
	"fmt"
	"os"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// settled is what a configuration says of the instance and of the secrets of its store, defaults
// filled in and placeholders replaced.
type settled struct {
	node string
	here string // the cluster, "" for none
	// encryptionKey and formerKeys seal the store's secrets.
	encryptionKey string
	formerKeys    []string
}

// settle replaces the placeholders of what an app says, and fills in the default node.
func settle(node, cluster, encryptionKey string, formerKeys []string) (s settled, err error) {
	if s.node, err = replaced(node); err != nil {
		return s, fmt.Errorf("node: %w", err)
	}
	if s.node == "" {
		if s.node, err = os.Hostname(); err != nil {
			return s, fmt.Errorf("finding the host name, which names this node by default: %w", err)
		}
	}
	if err := checkNode(s.node); err != nil {
		return s, fmt.Errorf("node: %w", err)
	}
	if s.here, err = replaced(cluster); err != nil {
		return s, fmt.Errorf("node: cluster: %w", err)
	}
	if err := checkNodeCluster(s.here); s.here != "" && err != nil {
		return s, fmt.Errorf("node: %w", err)
	}
	if s.encryptionKey, s.formerKeys, err = resolveKeys(encryptionKey, formerKeys); err != nil {
		return s, err
	}
	return s, nil
}

func checkNode(name string) error {
	blank := func(r rune) bool { return r <= ' ' || r == 0x7f }
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, blank) {
		return fmt.Errorf("%q: expected 1 to 255 characters without spaces", name)
	}
	return nil
}

func checkNodeCluster(name string) error {
	if !catalog.ValidName(name) {
		return fmt.Errorf("cluster: %q: expected the name of a cluster", name)
	}
	return nil
}
