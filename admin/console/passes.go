package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// secretPrefix begins every secret that FaDO makes, so that scanners for leaked secrets can
// tell them.
const secretPrefix = "fado_"

// newSecret makes 256 random bits, and the hash that the store keeps of them. They are
// random, so a fast hash is enough.
func newSecret() (secret, sum string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	return secret, sumOf(secret)
}

// newID makes the public name of a pass.
func newID() string { return strings.ToLower(rand.Text()[:12]) }

// sumOf is the hash of a secret that the store keeps.
func sumOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// maxSecret bounds what is taken for a secret.
const maxSecret = 200

// passes are the sessions and tokens of the console, which the store keeps.
type passes struct {
	app func() (App, error)
	now func() time.Time
	// idle is how long a session lives without use, absolute how long at most.
	idle, absolute time.Duration
	seen           *sessionCache
}

// store returns the running app's.
func (ps *passes) store() (state.Store, error) {
	ctl, err := ps.control()
	if err != nil {
		return nil, err
	}
	return ctl.Store(), nil
}

// control returns the running app's.
func (ps *passes) control() (*control.Control, error) {
	app, err := ps.app()
	if err != nil {
		return nil, err
	}
	ctl := app.Control()
	if ctl == nil {
		return nil, errStarting
	}
	return ctl, nil
}

var errStarting = errors.New("the fado app is starting")

// find returns a session or a token by its secret; nil if there is none. Without the
// database, sessions that were used here lately go on: what changes something is refused by
// the store itself.
func (ps *passes) find(ctx context.Context, kind state.PassKind, secret string) (*state.Pass, error) {
	if len(secret) > maxSecret || !strings.HasPrefix(secret, secretPrefix) {
		return nil, nil
	}
	store, err := ps.store()
	if err != nil {
		return nil, err
	}
	sum := sumOf(secret)
	p, err := store.Passes().GetPass(ctx, sum)
	switch {
	case errors.Is(err, state.ErrNotFound):
		ps.seen.forget(sum)
		return nil, nil
	case errors.Is(err, state.ErrUnavailable):
		var ok bool
		if p, ok = ps.seen.get(sum); !ok {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		ps.seen.put(p)
	}
	if p = ps.bounded(p); p.Kind != kind || !ps.valid(p) {
		return nil, nil
	}
	ps.touch(ctx, store, p)
	return &p, nil
}

// bounded is a pass as long as it may live: a session may be of a configuration that allowed more.
func (ps *passes) bounded(p state.Pass) state.Pass {
	if most := p.Created.Add(ps.absolute); p.Kind == state.PassSession && most.Before(p.Until) {
		p.Until = most
	}
	return p
}

// valid says whether a pass is one still.
func (ps *passes) valid(p state.Pass) bool {
	now := ps.now()
	if !admin.Role(p.Role).Valid() || !now.Before(p.Until) {
		return false
	}
	return p.Kind != state.PassSession || now.Sub(p.Used) < ps.idle
}

// touch notes a use, coarsely.
func (ps *passes) touch(ctx context.Context, store state.Store, p state.Pass) {
	now := ps.now()
	if now.Sub(p.Used) < min(time.Minute, ps.idle/10) {
		return
	}
	// A use that is not noted ends the session early, at worst.
	if store.Passes().TouchPass(ctx, p.Sum, now) == nil {
		p.Used = now
		ps.seen.put(p)
	}
}

// expire removes what is void. It is of no use to anyone: what stays a while longer does no harm. How long
// sessions live without use is each console's own, and several may share the store.
func (ps *passes) expire(ctx context.Context, store state.Store) {
	now := ps.now()
	_ = store.Passes().ExpirePasses(ctx, now, now.Add(-maxSession))
}

// record puts on record what someone does to a session.
func (ps *passes) record(r *http.Request, c *caller, b audit.SessionBody) error {
	ctl, err := ps.control()
	if err != nil {
		return err
	}
	return ctl.Audits.Session(control.WithActor(r.Context(), actorOf(c)), b)
}

// recordSession puts on record that someone signs in or out.
func (ps *passes) recordSession(r *http.Request, e audit.SessionEvent, c *caller) error {
	return ps.record(r, c, audit.SessionBody{Event: e, Session: c.ID, User: c.Name, Role: string(c.Role), How: c.How, Address: address(r)})
}

// takeLink uses a link up: it returns what a session is given for; nil for what is no link.
func (ps *passes) takeLink(ctx context.Context, code string) (*state.Pass, error) {
	if len(code) > maxSecret || !strings.HasPrefix(code, secretPrefix) {
		return nil, nil
	}
	store, err := ps.store()
	if err != nil {
		return nil, err
	}
	// Anyone may ask, so what is no link costs a read and no write.
	link, err := store.Passes().GetPass(ctx, sumOf(code))
	if err == nil {
		link, err = store.Passes().TakePass(ctx, state.PassLink, sumOf(code))
	}
	if errors.Is(err, state.ErrNotFound) || err == nil && !ps.valid(link) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &state.Pass{Name: "link of " + link.Created.UTC().Format(time.DateTime), Role: link.Role, How: "link"}, nil
}

// recordFailure puts on record that someone was not let in, who came with a password or a token; user is
// "" where there is none of that name.
func (ps *passes) recordFailure(r *http.Request, how, user string) error {
	return ps.record(r, &caller{Name: user}, audit.SessionBody{Event: audit.SignInFailed, How: how, User: user, Address: address(r)})
}
