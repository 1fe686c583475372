package console

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/fado-project/fado/admin"
)

// User is someone who signs in with a name and a password.
type User struct {
	// The name. Required.
	Name string `json:"name,omitempty"`

	// What "caddy hash-password" made of the password, with argon2id or bcrypt. Required.
	Hash string `json:"hash,omitempty"`

	// viewer, operator or admin. Required.
	Role admin.Role `json:"role,omitempty"`
}

// maxHashing is how many passwords are checked at a time: argon2id takes 46 MiB each.
const maxHashing = 2

// accounts are the people who sign in with a password.
type accounts struct {
	byName map[string]*User
	// decoy is whose hash stands for that of names that are not known; nil where there are no users.
	decoy   *User
	hashing chan struct{}
}

func newAccounts(users []*User) *accounts {
	a := &accounts{byName: make(map[string]*User, len(users)), hashing: make(chan struct{}, maxHashing)}
	for _, u := range users {
		a.byName[u.Name] = u
	}
	if len(users) > 0 {
		a.decoy = users[0]
	}
	return a
}

// checkPassword returns the user whose password it is; nil for nobody. It takes the same time
// for names that are not known.
func (a *accounts) checkPassword(ctx context.Context, name, password string) (*User, error) {
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	u := a.byName[name]
	hash := string(caddyauth.Argon2idHash{}.FakeHash())
	switch {
	case u != nil:
		hash = u.Hash
	case a.decoy != nil:
		hash = a.decoy.Hash
	}
	comparer, err := comparerOf(hash)
	if err != nil {
		return nil, err
	}
	ok, err := comparer.Compare([]byte(hash), []byte(password))
	if err != nil || !ok || u == nil {
		return nil, err
	}
	return u, nil
}

// comparerOf returns what checks passwords against a hash.
func comparerOf(hash string) (caddyauth.Comparer, error) {
	switch {
	case strings.HasPrefix(hash, "$argon2id$"):
		if _, _, err := caddyauth.DecodeHash([]byte(hash)); err != nil {
			return nil, fmt.Errorf("hash: %w: expected what \"caddy hash-password\" prints", err)
		}
		return caddyauth.Argon2idHash{}, nil
	case len(hash) == 60 && strings.HasPrefix(hash, "$2"):
		return caddyauth.BcryptHash{}, nil
	default:
		return nil, errors.New("hash: expected what \"caddy hash-password\" prints, argon2id or bcrypt: a password in clear is refused")
	}
}
