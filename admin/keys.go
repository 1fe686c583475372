package admin

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// keyView is an access key as clients see it.
type keyView struct {
	*catalog.Key
	Origin control.Origin `json:"origin"` // who declares it: the configuration, or the API
}

// The lengths of what is made for a key: those of S3's own.
const (
	keyPrefix   = "FADO"
	keyIDLength = 20
	keySecret   = 40
)

func newKeyID() string { return keyPrefix + rand.Text()[:keyIDLength-len(keyPrefix)] }

func newKeySecret() string { return (rand.Text() + rand.Text())[:keySecret] }

// decodeNew reads the body of a POST. A key gets the name and the secret that it does not give
// itself.
func (k collection) decodeNew(c *call, body []byte) (catalog.Resource, error) {
	if k.kind != catalog.KindKey {
		return draftsOf(&c.backend).decode(k.kind, body, "")
	}
	var given struct{ Name, Secret any }
	_ = json.Unmarshal(body, &given) // what is wrong with it is said below
	name := ""
	if given.Name == nil || given.Name == "" {
		name = newKeyID()
	}
	res, err := draftsOf(&c.backend).decode(k.kind, body, name)
	if err != nil {
		return nil, withoutSecret(err, given.Secret != nil)
	}
	if key := res.(*catalog.Key); key.Secret == "" {
		key.Secret = newKeySecret()
	}
	return res, nil
}

// withoutSecret takes the missing secret off the list of what is wrong with a new key.
func withoutSecret(err error, given bool) error {
	invalid, ok := errors.AsType[*catalog.ValidationError](err)
	if !ok || given {
		return err
	}
	vs := slices.DeleteFunc(invalid.Violations, func(v catalog.Violation) bool { return strings.HasSuffix(v.Field, ": secret") })
	return &catalog.ValidationError{Violations: vs}
}

// replyNewKey is the one answer that shows a secret.
func replyNewKey(c *call, key *catalog.Key, it control.Item) error {
	c.W.Header().Set("ETag", it.ETag)
	c.W.Header().Set("Cache-Control", "no-store")
	return c.Reply(http.StatusCreated, keyView{key, it.Origin})
}
