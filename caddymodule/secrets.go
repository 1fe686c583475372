package caddymodule

import (
	"fmt"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/storage"
)

// resolveSecret replaces the {env.X} and {file.X} placeholders of a secret. A secret
// without them is literal, whatever braces it has. The error names the placeholder
// and never holds a value.
func resolveSecret(s string) (string, error) {
	if !strings.Contains(s, "{env.") && !strings.Contains(s, "{file.") {
		return s, nil
	}
	return replaced(s)
}

// openStorage makes the client of a cluster's storage with its secrets resolved now,
// so that a rotated secret is used from the next opening on.
func openStorage(cluster string, s *catalog.Storage) (storage.Storage, error) {
	accessKey, err := resolveSecret(s.AccessKey)
	if err != nil {
		return nil, fmt.Errorf("access_key: %w", err)
	}
	secretKey, err := resolveSecret(s.SecretKey)
	if err != nil {
		return nil, fmt.Errorf("secret_key: %w", err)
	}
	return storage.Open(storage.Config{
		Name:               cluster,
		Endpoint:           s.Endpoint,
		AccessKey:          accessKey,
		SecretKey:          secretKey,
		Region:             s.Region,
		BucketPrefix:       s.BucketPrefix,
		VirtualHost:        s.VirtualHost,
		CAFile:             s.CAFile,
		InsecureSkipVerify: s.InsecureSkipVerify,
	})
}
