package admin

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// actions returns the actions on record.
func (h *harness) actions() (all []audit.ActionBody) {
	h.t.Helper()
	records, err := h.ctl.Store().Audits().AuditRecords(context.Background(), state.AuditFilter{Kind: audit.Action}, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range records {
		var b audit.ActionBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			h.t.Fatal(err)
		}
		if want := strings.TrimSpace("admin " + b.Address); r.Actor != want {
			h.t.Errorf("%s was done by %q, want %q", b.Action, r.Actor, want)
		}
		all = append(all, b)
	}
	return all
}

// asked are requests of every operation that has something done, and what is on record of it.
var asked = map[string]struct {
	method, path, body string
	on                 string // resource and name
	with               map[string]string
	state              audit.ActionState
}{
	"sync-bucket":        {"POST", "/fado/buckets/photos/sync", "", "bucket photos", nil, audit.ActionDone},
	"verify-bucket":      {"POST", "/fado/buckets/photos/verify?deep=true", "", "bucket photos", map[string]string{"deep": "true"}, audit.ActionDone},
	"trust-side":         {"POST", "/fado/buckets/photos/trust?cluster=c2", "", "bucket photos", map[string]string{"cluster": "c2"}, audit.ActionBegun},
	"confirm-deletes":    {"POST", "/fado/buckets/photos/deletes/confirm", "", "bucket photos", nil, audit.ActionBegun},
	"reject-deletes":     {"POST", "/fado/buckets/photos/deletes/reject", "", "bucket photos", nil, audit.ActionDone},
	"resolve-conflicts":  {"POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"c1","key":"a/secret.jpg","discard":true}`, "bucket photos", map[string]string{"winner": "c1", "keys": "one", "discard": "true"}, audit.ActionBegun},
	"release-history":    {"POST", "/fado/buckets/photos/release", `{"purge":"history","cluster":"c2"}`, "bucket photos", map[string]string{"purge": "history", "cluster": "c2"}, audit.ActionBegun},
	"delete-bucket":      {"DELETE", "/fado/buckets/photos?purge=all", "", "bucket photos", map[string]string{"purge": "all"}, audit.ActionBegun},
	"delete-cluster":     {"DELETE", "/fado/clusters/c2?abandon=true&confirm=c2", "", "cluster c2", map[string]string{"abandon": "true"}, audit.ActionBegun},
	"retry-failures":     {"POST", "/fado/replication/failures/retry", "", "", nil, audit.ActionDone},
	"pause-replication":  {"POST", "/fado/replication/pause", "", "", nil, audit.ActionDone},
	"resume-replication": {"POST", "/fado/replication/resume", "", "", nil, audit.ActionDone},
	"rebalance":          {"POST", "/fado/rebalance", "", "", nil, audit.ActionDone},
	"stop-rebalance":     {"DELETE", "/fado/rebalance", "", "", nil, audit.ActionDone},
	"make-link":          {"POST", "/fado/console/links", `{"role":"viewer"}`, "", map[string]string{"role": "viewer"}, audit.ActionBegun},
}

// Operators' work is on record: every operation but those that read is a change of the catalogue or an
// action, and every action is on record with who, from where, what and by which request.
func TestWhatPeopleHaveDoneIsOnRecord(t *testing.T) {
	for _, op := range allOperations() {
		reads := op.method == http.MethodGet
		if has := op.effect != "" || op.acts != nil; has == reads {
			t.Errorf("%s: %s with the effect %q, an action: %v: it is to be on record as a change or as an action, or to read", op.name, op.method, op.effect, op.acts != nil)
		}
		if _, tried := asked[op.name]; op.acts != nil && !tried {
			t.Errorf("%s is not tried here", op.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		ask := asked[name]
		t.Run(name, func(t *testing.T) {
			h := start(t, control.Config{AuditKeep: time.Hour})
			a := h.do(ask.method, ask.path, ask.body)
			if a.status >= http.StatusMultipleChoices {
				t.Fatalf("%d %s", a.status, a.body)
			}
			all := h.actions()
			if len(all) != 1 {
				t.Fatalf("on record: %+v", all)
			}
			b := all[0]
			if b.Action != name || strings.TrimSpace(b.Resource+" "+b.Name) != ask.on || !maps.Equal(b.With, ask.with) || b.State != ask.state ||
				b.How != "endpoint" || b.Address != "127.0.0.1" || b.Request != a.header.Get(RequestHeader) || b.Status != 0 {
				t.Errorf("on record: %+v", b)
			}
		})
	}
}

// deaf is a catalogue whose audit takes nothing.
type deaf struct{ catalogue }

func (deaf) Acted(context.Context, audit.ActionBody) error { return state.ErrUnavailable }

// What gives data or access away is not done while it can't be put on record; other work is.
func TestNothingIsGivenAwayOffRecord(t *testing.T) {
	h := start(t, control.Config{AuditKeep: time.Hour})
	h.backend.catalogue = deaf{h.backend.catalogue}
	for name, ask := range asked {
		h.engine.asked = nil
		a := h.do(ask.method, ask.path, ask.body)
		if ask.state == audit.ActionDone {
			if a.status >= http.StatusMultipleChoices {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			continue
		}
		a.want(http.StatusServiceUnavailable).says("on record")
		if len(h.engine.asked) > 0 {
			t.Errorf("%s was done: %q", name, h.engine.asked)
		}
	}
	passes, err := h.ctl.Store().Passes().ListPasses(t.Context(), "")
	if err != nil || len(passes) > 0 {
		t.Errorf("links %v, %v", passes, err)
	}
}

// What was refused was not begun, and of what failed a part may have been done.
func TestActionsThatFailAreOnRecordAsSuch(t *testing.T) {
	h := start(t, control.Config{AuditKeep: time.Hour})
	states := func() (all []string) {
		for _, b := range h.actions() {
			all = append(all, string(b.State))
		}
		return all
	}
	h.do("POST", "/fado/rebalance?dry_run=true", "").want(200)
	h.do("POST", "/fado/buckets/photos/release", `{}`).want(400)
	h.engine.err = control.ErrNotFound
	h.do("POST", "/fado/buckets/none/sync", "").want(404)
	if got := states(); got != nil {
		t.Fatalf("on record: %v", got)
	}
	h.do("POST", "/fado/buckets/none/deletes/confirm", "").want(404)
	h.engine.err = state.ErrUnavailable
	h.do("POST", "/fado/buckets/photos/deletes/reject", "").want(503)
	if got, want := states(), []string{"begun", "failed", "failed"}; !slices.Equal(got, want) {
		t.Errorf("on record: %v, want %v", got, want)
	}
	if all := h.actions(); all[0].Request != all[1].Request || all[1].Status != 404 || all[2].Status != 503 {
		t.Errorf("on record: %+v", all)
	}
	var failed []json.RawMessage
	if h.do("GET", "/fado/audit?kind=action&result=failed", "").want(200).json(&failed); len(failed) != 2 {
		t.Errorf("found %s", failed)
	}
}

// An action of someone at the console has their name, role and address; what they typed is not on record
// at any length.
func TestActionsAtTheConsole(t *testing.T) {
	h := start(t, control.Config{AuditKeep: time.Hour, Policies: []*catalog.Policy{{Name: "p"}}})
	h.engine.err = replication.ErrNotStopped
	r := As(httptest.NewRequest("POST", "/fado/buckets/"+strings.Repeat("%C3%BC", 400)+"/trust?cluster=c1", nil),
		audit.Caller{Who: "console ada", Role: "admin", How: "password", Address: "2001:db8::/64", Request: "r1"})
	api := &API{log: zap.NewNop(), find: func() (backend, error) { return h.backend, nil }}
	(&Gateway{api}).Serve(httptest.NewRecorder(), r, RoleAdmin)
	records, err := h.ctl.Store().Audits().AuditRecords(t.Context(), state.AuditFilter{Kind: audit.Action}, 0)
	if err != nil || len(records) != 2 || records[0].Actor != "console ada" {
		t.Fatalf("%v, %v", records, err)
	}
	var b audit.ActionBody
	if err := json.Unmarshal(records[0].Body, &b); err != nil || b.Role != "admin" || b.How != "password" || b.Address != "2001:db8::/64" || b.Request != "r1" {
		t.Errorf("%s, %v", records[0].Body, err)
	}
	if len(b.Name) > 300 || strings.TrimLeft(b.Name, "ü") != "…" {
		t.Errorf("the name is %q", b.Name)
	}
}
