package s3gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/traffic"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/bodies"
	"github.com/fado-project/fado/s3gateway/internal/cors"
	"github.com/fado-project/fado/s3gateway/internal/forms"
	"github.com/fado-project/fado/s3gateway/internal/latency"
	"github.com/fado-project/fado/s3gateway/urls"
	"github.com/fado-project/fado/storage"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// App is what the handler needs of the running fado app, which implements it.
type App interface {
	// Control and Replication return what the configuration runs on; nil before the app has
	// started.
	Control() *control.Control
	Replication() *replication.Engine
	// Ready is closed once the catalogue is known.
	Ready() <-chan struct{}

	// Router has the access keys made at /fado/keys, in memory. What was removed is gone on every
	// instance before the removal is answered; whether a key expired is for the endpoint to see.
	Router() *routing.Router
	// DeclareKeys takes up the keys that this endpoint declares, so that the API shows them.
	DeclareKeys(keys ...*catalog.Key) error
	// Endpoints takes up how clients reach this endpoint, for URLs that FaDO signs.
	Endpoints() *urls.Endpoints
	// S3 counts what endpoints do.
	S3() traffic.S3
}

// Storages is how requests reach storages; *replication.Gateway implements it.
type Storages interface {
	Read(ctx context.Context, p replication.Passage, f *storage.Forward) (*storage.Answer, error)
	Write(ctx context.Context, w replication.UserWrite, f *storage.Forward) (*replication.Written, error)
	CanBring(cluster string, size int64) error
	Bring(ctx context.Context, bucket, key, cluster string, size int64) error
	Keep(allowed func(*routing.Snapshot) bool) (ctx context.Context, end func(), err error)
	Capabilities(cluster string) (storage.Capabilities, bool)
	Refuses(ctx context.Context, cluster string, f *storage.Forward) (bool, error)
	ListsUploads(ctx context.Context, cluster string) (storage.UploadLists, error)
	OwnUploads(ctx context.Context, bucket string) (byCluster map[string][]string, err error)
}

// Handler is an S3 endpoint: any S3 client sees one namespace of all buckets, wherever their
// copies are. Reads go to the nearest current copy, writes to where users may write; both are
// signed again for the storage there, and bodies stream.
//
// Without a key and without anonymous everything is AccessDenied. It never calls the next
// handler.
type Handler struct {
	// The region that clients sign for. Default: us-east-1.
	Region string `json:"region,omitempty"`

	// The cluster this endpoint is in: reads prefer its storage, then those in its zones. Where
	// a policy does not allow this cluster, no byte of its objects passes here. Default: none,
	// which prefers nothing and forbids nothing.
	Cluster string `json:"cluster,omitempty"`

	// Domains for virtual-host style, <bucket>.<domain>, besides path style. Default: none.
	Domains []string `json:"domains,omitempty"`

	// How clients reach this endpoint, for URLs that FaDO signs for functions and for the
	// console: scheme and host, such as https://s3.example.org. Default: the first domain; else
	// the console takes the host that it is reached by, and functions are given no such URL.
	PublicURL string `json:"public_url,omitempty"`

	// Access keys of this endpoint, besides those made at /fado/keys. Default: none.
	Keys []*Key `json:"keys,omitempty"`

	// Patterns of buckets whose objects everyone may read. Default: none.
	Anonymous []string `json:"anonymous,omitempty"`

	// How many copies have a write before it is answered, -1 for all; no more than its policy
	// wants. They are made one after the other: a copy carries the version and time that the
	// first storage gives the object. Default: 1.
	WriteAck int `json:"write_ack,omitempty"`

	// How far a client's clock may be off. Default: 15m.
	MaxClockSkew caddy.Duration `json:"max_clock_skew,omitempty"`

	// Keeps bodies of objects that are read often in memory. Default: none.
	Cache *Cache `json:"cache,omitempty"`

	app     App
	log     *zap.Logger
	bodies  *bodies.Cache // nil: none
	keys    map[string]*catalog.Key
	latency latency.Book
	cors    cors.Cache
	forms   *forms.Room
	now     func() time.Time

	patience        time.Duration // with clients that rest; 0: a minute
	emptiedPatience time.Duration // with the copies of a bucket that is removed; 0: bucketPatience
}

// Key is an access key.
type Key struct {
	// The access key ID. Required.
	ID string `json:"id,omitempty"`

	// The secret access key. A {env.X} or {file.X} placeholder keeps it out of the
	// configuration. Required.
	Secret string `json:"secret,omitempty"`

	// Patterns of the buckets it sees. Default: all.
	Buckets []string `json:"buckets,omitempty"`

	// Whether it may only read. Default: false.
	ReadOnly bool `json:"read_only,omitempty"`
}

// Cache is memory for bodies of objects. Each use of one is confirmed by a storage.
type Cache struct {
	// The most memory it takes. Required.
	Size catalog.Size `json:"size,omitempty"`

	// The largest object that is kept. Default: 1MiB, or the size of the cache if that is less.
	MaxObject catalog.Size `json:"max_object,omitempty"`
}

// formRoom is what all endpoints of this process hold of forms.
var formRoom = forms.NewRoom(forms.Memory, forms.Patience)

const (
	defaultRegion = "us-east-1"
	defaultSkew   = 15 * time.Minute

	ackOne = 1
	ackAll = -1
)

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.fado_s3",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision fills in defaults, resolves the secrets and finds the fado app.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.log, h.now, h.forms = ctx.Logger(), time.Now, formRoom
	if h.Region == "" {
		h.Region = defaultRegion
	}
	if h.WriteAck == 0 {
		h.WriteAck = ackOne
	}
	if h.MaxClockSkew == 0 {
		h.MaxClockSkew = caddy.Duration(defaultSkew)
	}
	for i, d := range h.Domains {
		h.Domains[i] = strings.ToLower(strings.Trim(d, "."))
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("fado_s3: %w", err)
	}
	if err := h.resolveKeys(); err != nil {
		return fmt.Errorf("fado_s3: %w", err)
	}
	mod, err := ctx.App("fado")
	if err != nil {
		return fmt.Errorf("fado_s3: %w", err)
	}
	app, ok := mod.(App)
	if !ok {
		return fmt.Errorf("fado_s3: the fado app is a %T, which is not an s3gateway.App", mod)
	}
	h.app = app
	app.Endpoints().Declare(h.endpoint(serverOf(ctx)))
	h.makeCache()
	for _, k := range h.Keys {
		if err := app.DeclareKeys(h.keys[k.ID]); err != nil {
			return fmt.Errorf("fado_s3: %w", err)
		}
	}
	return nil
}

var regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// check names everything that is wrong with the handler by itself.
func (h *Handler) check() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(!regionName.MatchString(h.Region), "region: %q: expected a name like us-east-1", h.Region)
	add(h.WriteAck < ackAll, "write_ack: %d: expected a number of copies of 1 or more, or -1 for all", h.WriteAck)
	add(h.MaxClockSkew < 0, "max_clock_skew: %s: expected a duration above 0", time.Duration(h.MaxClockSkew))
	if c := h.Cache; c != nil {
		add(c.Size < minCache, "cache: %s: expected a size of %s or more", c.Size, catalog.Size(minCache))
		add(c.MaxObject < 0 || c.MaxObject > c.Size, "cache: max_object: %s: expected a size above 0, and not above that of the cache", c.MaxObject)
	}
	if h.PublicURL != "" {
		if _, _, err := urls.ParseURL(h.PublicURL); err != nil {
			add(true, "public_url: %w", err)
		}
	}
	for _, d := range h.Domains {
		add(d == "" || net.ParseIP(d) != nil || strings.ContainsAny(d, ":/* "), "domain: %q: expected a host name", d)
	}
	seen := make(map[string]bool)
	for i, k := range h.Keys {
		if k == nil {
			add(true, "keys[%d]: null: expected an object", i)
			continue
		}
		add(!catalog.ValidKeyName(k.ID), "key: %q: expected an access key ID of 3 to 128 letters, digits and . _ @ + -, beginning with a letter or digit", k.ID)
		add(seen[k.ID], "key %s is given twice: expected it once", k.ID)
		add(k.Secret == "", "key %s: secret is missing", k.ID)
		seen[k.ID] = true
		errs = append(errs, checkPatterns("key "+k.ID+": buckets", k.Buckets))
	}
	return errors.Join(append(errs, checkPatterns("anonymous", h.Anonymous))...)
}

// checkPatterns checks patterns of bucket names.
func checkPatterns(what string, patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.Contains(p, "/") {
			return fmt.Errorf("%s: %q: expected a bucket's name, with * and ? for any characters", what, p)
		}
	}
	return nil
}

func (h *Handler) resolveKeys() error {
	h.keys = make(map[string]*catalog.Key, len(h.Keys))
	for _, k := range h.Keys {
		secret := k.Secret
		if strings.Contains(secret, "{env.") || strings.Contains(secret, "{file.") {
			var err error
			if secret, err = caddy.NewReplacer().ReplaceOrErr(secret, true, true); err != nil {
				return fmt.Errorf("key %s: secret: %w", k.ID, err)
			}
		}
		if secret = strings.TrimSpace(secret); len(secret) < minSecret {
			return fmt.Errorf("key %s: secret: expected at least %d characters, best random ones", k.ID, minSecret)
		}
		h.keys[k.ID] = &catalog.Key{Name: k.ID, Secret: secret, Buckets: k.Buckets, ReadOnly: k.ReadOnly}
	}
	return nil
}

// minSecret is the least length of a secret: who sees one signed request can try secrets
// without asking anyone.
const minSecret = 8

// Validate warns of what can't be used.
func (h *Handler) Validate() error {
	if len(h.keys) == 0 && len(h.Anonymous) == 0 {
		h.log.Info("no key is declared here: only those made at /fado/keys have access")
	}
	return nil
}

// Cleanup lets go of the cache. Requests that still use it go on.
func (h *Handler) Cleanup() error {
	if h.bodies != nil {
		h.bodies.Close()
	}
	return nil
}

// node names this instance in answers.
func (h *Handler) node() string {
	if ctl := h.app.Control(); ctl != nil {
		return ctl.Node()
	}
	return ""
}

// ack is write_ack as people write it.
func (h *Handler) ack() string {
	if h.WriteAck == ackAll {
		return "all"
	}
	return strconv.Itoa(h.WriteAck)
}

// Interface guards
var (
	_ caddy.Module       = (*Handler)(nil)
	_ caddy.Provisioner  = (*Handler)(nil)
	_ caddy.Validator    = (*Handler)(nil)
	_ caddy.CleanerUpper = (*Handler)(nil)
	_ Storages           = (*replication.Gateway)(nil)
)
