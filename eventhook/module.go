package eventhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// What a sender may have noted. Each record becomes a durable row per copy and requests to
// storages, whether or not there is such a key: a client with the token must not be able to
// pile up work faster than it is done.
const (
	maxRecords = 10_000 // records of a body
	burst      = 50_000 // records noted at once after a quiet time
	perSecond  = 2_000  // records noted per second after that
	// maxWaiting is how many objects may wait to be copied, whatever made them: past it none are
	// noted, and what was written is found by comparing.
	maxWaiting = 1_000_000
)

// App is what the handler needs of the running fado app, which implements it.
type App interface {
	// Control and Replication return what the configuration runs on; nil before the
	// app has started.
	Control() *control.Control
	Replication() *replication.Engine
}

// Handler accepts event notifications from storages by POST: S3 event JSON, the
// MinIO webhook, EventBridge, and CloudEvents around them. It answers 202 once the
// changes are noted durably, 400 to anything else with what was expected, 401 without
// the token, 413 to more than 4 MiB or 10,000 records, and 503 when the store is unavailable
// or more records come than 2,000 a second, or more than 4 MiB a second in bodies above 64 KiB,
// or 1,000,000 objects wait already, or a body does not come to its end (send again then).
//
// The query parameter cluster names the cluster the events are from. Without it an
// event is taken as a hint for every cluster that has a physical bucket of its name.
type Handler struct {
	// The token that senders must show: as a bearer token, as the password of any user (Basic), as
	// the query parameter token, or as the last part of the path. A {env.X} or {file.X} placeholder keeps
	// it out of the configuration. Required.
	Token string `json:"token,omitempty"`

	secret secret
	intake intake
	pace   *rate.Limiter // of records
	sink   sink
	log    *zap.Logger
	now    func() time.Time

	refusals refusals
}

// sink takes hints; a seam for tests.
type sink interface {
	// hasCluster says whether there is a cluster of that name; an error while that is
	// not known.
	hasCluster(name string) (bool, error)
	// waiting says how many objects wait to be copied.
	waiting() int
	// note returns once the hints are durable.
	note(ctx context.Context, hints []replication.Hint) error
	// lost notes that events of a cluster ("": of any) were refused.
	lost(cluster string)
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.fado_events",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision resolves the token and finds the fado app.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.log = ctx.Logger()
	if h.Token == "" {
		return errors.New("fado_events: token: expected the bearer token that storages send")
	}
	token, err := caddy.NewReplacer().ReplaceOrErr(h.Token, true, true)
	if err != nil {
		return fmt.Errorf("fado_events: token: %w", err)
	}
	if token = strings.TrimSpace(token); token == "" {
		return errors.New("fado_events: token: it is empty")
	}
	h.secret = secretOf(token)
	h.bound()
	mod, err := ctx.App("fado")
	if err != nil {
		return fmt.Errorf("fado_events: %w", err)
	}
	app, ok := mod.(App)
	if !ok {
		return fmt.Errorf("fado_events: the fado app is a %T, which is not an eventhook.App", mod)
	}
	h.sink = appSink{app}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler. It never calls the next handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	status, err := h.take(w, r)
	if err == nil {
		w.WriteHeader(status)
		return nil
	}
	h.refusals.log(h.log, h.now(), r, status, err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	answer := json.NewEncoder(w)
	answer.SetEscapeHTML(false) // people read it, and it says <token>
	return answer.Encode(map[string]string{"error": err.Error()})
}

// take notes the events of a request and returns the status to answer with; the error's
// text is for the sender.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) (int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, fmt.Errorf("%s: expected POST", r.Method)
	}
	if err := h.secret.authorize(w, r); err != nil {
		return http.StatusUnauthorized, err
	}
	cluster := r.URL.Query().Get("cluster")
	status, err := h.takeFrom(w, r, cluster)
	if err != nil && (status >= http.StatusInternalServerError || status == http.StatusRequestEntityTooLarge) {
		h.sink.lost(cluster) // the sender may not send them again
	}
	return status, err
}

// takeFrom is take for a sender that showed the token.
func (h *Handler) takeFrom(w http.ResponseWriter, r *http.Request, cluster string) (int, error) {
	if cluster != "" {
		known, err := h.sink.hasCluster(cluster)
		if err != nil {
			return http.StatusServiceUnavailable, err
		}
		if !known {
			return http.StatusBadRequest, fmt.Errorf("query parameter \"cluster\": %q: expected the name of a cluster", cluster)
		}
	}
	hints, status, err := h.read(w, r)
	if err != nil {
		return status, err
	}
	if waiting := h.sink.waiting(); waiting >= maxWaiting {
		w.Header().Set("Retry-After", "60")
		return http.StatusServiceUnavailable, fmt.Errorf("%d objects wait to be copied, expected fewer than %d: none of these records was noted; send them again", waiting, maxWaiting)
	}
	if wait := h.wait(len(hints)); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return http.StatusServiceUnavailable, fmt.Errorf("more than %d records a second: none of these was noted; send them again", perSecond)
	}
	for i := range hints {
		hints[i].Cluster = cluster
	}
	if len(hints) == 0 {
		return http.StatusAccepted, nil
	}
	if err := h.sink.note(r.Context(), hints); err != nil {
		w.Header().Set("Retry-After", "5")
		h.log.Debug("could not store events; the sender has to send them again", zap.Int("events", len(hints)), zap.Error(err))
		return http.StatusServiceUnavailable, errors.New("the events could not be noted durably; send them again")
	}
	return http.StatusAccepted, nil
}

// bound makes the bounds of what senders may have done.
func (h *Handler) bound() {
	h.pace, h.intake, h.now = rate.NewLimiter(perSecond, burst), newIntake(), time.Now
}

// read reads a body and parses it when there is room for it, and bounds its records.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) ([]replication.Hint, int, error) {
	body, leave, status, err := h.intake.body(w, r)
	if err != nil {
		return nil, status, err
	}
	defer leave()
	select {
	case h.intake.parse <- struct{}{}:
		defer func() { <-h.intake.parse }()
	case <-r.Context().Done():
		return nil, http.StatusServiceUnavailable, r.Context().Err()
	}
	hints, err := parse(r.Header, body)
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	if len(hints) > maxRecords {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body has %d records: expected at most %d", len(hints), maxRecords)
	}
	return hints, 0, nil
}

// wait takes n records into the pace, or says how long to wait before it can.
func (h *Handler) wait(n int) time.Duration {
	r := h.pace.ReserveN(time.Now(), n)
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}

// errNotStarted answers what comes before the app has started.
var errNotStarted = errors.New("the fado app has not started")

// appSink hands hints to the running app.
type appSink struct{ app App }

func (s appSink) hasCluster(name string) (bool, error) {
	ctl := s.app.Control()
	if ctl == nil {
		return false, errNotStarted
	}
	return ctl.Router().Snapshot().Cluster(name) != nil, nil
}

func (s appSink) waiting() int {
	ctl := s.app.Control()
	if ctl == nil {
		return 0
	}
	return ctl.Router().Pending.Len()
}

func (s appSink) note(ctx context.Context, hints []replication.Hint) error {
	engine := s.app.Replication()
	if engine == nil {
		return errNotStarted
	}
	return engine.Hints(ctx, hints...)
}

func (s appSink) lost(cluster string) {
	if engine := s.app.Replication(); engine != nil {
		engine.EventsLost(cluster)
	}
}

// Interface guards
var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
