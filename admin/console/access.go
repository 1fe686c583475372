package console

import (
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/state"
)

// passView is a session or a token as people see it.
type passView struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	How     string    `json:"how"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
	Expires time.Time `json:"expires"`
	// Current: it is the one that asks.
	Current bool `json:"current"`
	// Secret is in the answer that makes a token, and never again.
	Secret string `json:"secret,omitempty"`
}

func viewPass(p state.Pass, c *caller) passView {
	return passView{
		ID: p.ID, Name: p.Name, Role: p.Role, How: p.How, Created: p.Created.UTC(), Used: p.Used.UTC(), Expires: p.Until.UTC(),
		Current: p.ID == c.ID,
	}
}

// passesOf serves api/sessions and api/tokens, for admins.
func (h *Handler) passesOf(kind state.PassKind, rest string, c *caller) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c.Role != admin.RoleAdmin {
			admin.WriteError(w, http.StatusForbidden, "this needs the role admin, and you are "+string(c.Role))
			return
		}
		id := strings.TrimPrefix(rest, "/")
		switch {
		case id == "" && r.Method == http.MethodGet:
			h.listPasses(w, r, kind, c)
		case id == "" && r.Method == http.MethodPost && kind == state.PassToken:
			h.makeToken(w, r, c)
		case id != "" && r.Method == http.MethodDelete:
			h.deletePass(w, r, kind, id, c)
		default:
			admin.WriteError(w, http.StatusMethodNotAllowed, r.Method+" is not allowed here")
		}
	}
}

func (h *Handler) listPasses(w http.ResponseWriter, r *http.Request, kind state.PassKind, c *caller) {
	store, err := h.passes.store()
	if err != nil {
		h.refuse(w, err)
		return
	}
	all, err := store.Passes().ListPasses(r.Context(), kind)
	if err != nil {
		h.refuse(w, err)
		return
	}
	views := []passView{}
	for _, p := range all {
		if p = h.passes.bounded(p); h.passes.valid(p) {
			views = append(views, viewPass(p, c))
		}
	}
	reply(w, http.StatusOK, views)
}

// tokenInput is the body of POST api/tokens.
type tokenInput struct {
	Name string     `json:"name"`
	Role admin.Role `json:"role"`
	// Days until it expires: 1 to 365.
	Days int `json:"days"`
}

const (
	maxTokens    = 1000
	maxTokenDays = 365
)

func (h *Handler) makeToken(w http.ResponseWriter, r *http.Request, c *caller) {
	var in tokenInput
	if !readJSON(w, r, maxSignIn, &in) {
		return
	}
	name := strings.TrimSpace(in.Name)
	switch {
	case h.TokensOff:
		admin.WriteError(w, http.StatusConflict, "the configuration says \"tokens off\"")
		return
	case name == "" || len(name) > maxName:
		admin.WriteError(w, http.StatusBadRequest, "name: expected 1 to 128 characters")
		return
	case !in.Role.Valid():
		admin.WriteError(w, http.StatusBadRequest, "role: expected viewer, operator or admin")
		return
	case in.Days < 1 || in.Days > maxTokenDays:
		admin.WriteError(w, http.StatusBadRequest, "days: expected 1 to 365")
		return
	}
	store, err := h.passes.store()
	if err != nil {
		h.refuse(w, err)
		return
	}
	h.passes.expire(r.Context(), store) // what is void is not listed, so nobody could make room for another
	if all, err := store.Passes().ListPasses(r.Context(), state.PassToken); err != nil {
		h.refuse(w, err)
		return
	} else if len(all) >= maxTokens {
		admin.WriteError(w, http.StatusConflict, "there are 1000 tokens, as many as may: revoke some")
		return
	}
	secret, sum := newSecret()
	now := h.now()
	p := state.Pass{
		Kind: state.PassToken, Sum: sum, ID: newID(), Name: name, Role: string(in.Role), How: c.Name,
		Created: now, Used: now, Until: now.Add(time.Duration(in.Days) * 24 * time.Hour),
	}
	on := audit.SessionBody{Event: audit.TokenMade, Session: p.ID, User: p.Name, Role: p.Role, How: "token", Address: address(r)}
	if err := h.passes.record(r, c, on); err != nil { // before it can be used
		h.refuse(w, err)
		return
	}
	if err := store.Passes().PutPass(r.Context(), p); err != nil {
		h.refuse(w, err)
		return
	}
	h.log.Info("a token of the console was made", zap.String("token", p.ID), zap.String("role", p.Role), zap.String("by", c.Name))
	v := viewPass(p, c)
	v.Secret = secret
	reply(w, http.StatusCreated, v)
}

func (h *Handler) deletePass(w http.ResponseWriter, r *http.Request, kind state.PassKind, id string, c *caller) {
	store, err := h.passes.store()
	if err != nil {
		h.refuse(w, err)
		return
	}
	gone, err := store.Passes().DeletePass(r.Context(), kind, id)
	if err == nil && gone {
		h.passes.seen.forgetID(id)
		event := map[state.PassKind]audit.SessionEvent{state.PassSession: audit.SignedOut, state.PassToken: audit.TokenRevoked}[kind]
		err = h.passes.record(r, c, audit.SessionBody{Event: event, Session: id, Address: address(r)})
	}
	switch {
	case err != nil:
		h.refuse(w, err)
	case !gone:
		admin.WriteError(w, http.StatusNotFound, "there is no such "+string(kind))
	default:
		h.log.Info("a pass of the console was removed", zap.String("kind", string(kind)), zap.String("id", id), zap.String("by", c.Name))
		w.WriteHeader(http.StatusNoContent)
	}
}
