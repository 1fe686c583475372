package caddymodule

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

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

// replaced replaces placeholders; one that is unknown or empty is an error.
func replaced(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return caddy.NewReplacer().ReplaceOrErr(s, true, true)
}

// resolveKeys replaces the placeholders of the keys that the store's secrets are, or may be,
// sealed with.
func resolveKeys(encryptionKey string, formerKeys []string) (key string, former []string, err error) {
	if key, err = resolveSecret(encryptionKey); err != nil {
		return "", nil, fmt.Errorf("encryption_key: %w", err)
	}
	if key != "" {
		if err := strongKey(key); err != nil {
			return "", nil, fmt.Errorf("encryption_key: %w", err)
		}
	}
	if key == "" && len(formerKeys) > 0 {
		return "", nil, errors.New("former_encryption_keys: given without encryption_key: expected both")
	}
	for i, placeholder := range formerKeys {
		f, err := resolveSecret(placeholder)
		if err == nil && f == "" {
			err = errors.New("empty: expected a key")
		}
		if err != nil {
			return "", nil, fmt.Errorf("former_encryption_keys[%d]: %w", i, err)
		}
		former = append(former, f)
	}
	return key, former, nil
}

// minKey is the least length of a key that secrets are sealed with: with a copy of the
// store, keys can be tried without limit.
const minKey = 16

// strongKey checks a key that secrets are to be sealed with. A former key may be weaker:
// else it could not be left.
func strongKey(key string) error {
	if n := utf8.RuneCountInString(key); n < minKey {
		return fmt.Errorf("it has %d characters, expected at least %d, best random ones; where secrets are sealed with it, change it with caddy fado rotate-key", n, minKey)
	}
	return nil
}

// checkSecrets names every secret whose placeholder can't be replaced now. The
// secrets stay placeholders: they are replaced when a storage is opened.
func checkSecrets(clusters []*catalog.Cluster) error {
	var errs []error
	for _, c := range clusters {
		for i := range c.Functions {
			errs = append(errs, checkDress(c.Name, i, &c.Functions[i])...)
		}
		if c.Storage == nil {
			continue
		}
		for _, secret := range []struct{ field, value string }{
			{"access_key", c.Storage.AccessKey}, {"secret_key", c.Storage.SecretKey},
		} {
			if _, err := resolveSecret(secret.value); err != nil {
				errs = append(errs, fmt.Errorf("cluster %s: storage.%s: %w", c.Name, secret.field, err))
			}
		}
	}
	return errors.Join(errs...)
}

// checkDress names every {env.X} and {file.X} in what is set on requests to a function
// endpoint that can't be replaced now. They are replaced for every request.
func checkDress(cluster string, i int, f *catalog.Function) (errs []error) {
	for _, d := range f.Dressings() {
		for _, p := range anyPlaceholder.FindAllString(*d.Value, -1) {
			if _, err := replaced(p); err != nil {
				errs = append(errs, fmt.Errorf("cluster %s: functions[%d].%s: %w", cluster, i, d.Field, err))
			}
		}
	}
	return errs
}
