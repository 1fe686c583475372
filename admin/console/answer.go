package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin"
)

// refuse answers who has no access.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errSignIn):
		w.Header().Set("WWW-Authenticate", `Bearer realm="fado_console"`)
		admin.WriteError(w, http.StatusUnauthorized, "not signed in")
	case errors.Is(err, errNoAccess):
		admin.WriteError(w, http.StatusForbidden, err.Error())
	default:
		h.log.Warn("can't tell who asks", zap.String("request_id", w.Header().Get(admin.RequestHeader)), zap.Error(err))
		admin.WriteError(w, http.StatusServiceUnavailable, "can't tell now who you are: the store does not answer")
	}
}

// maxSignIn bounds the bodies of requests about sessions and tokens.
const maxSignIn = 16 << 10

// readJSON reads a body strictly, or answers what is wrong with it.
func readJSON(w http.ResponseWriter, r *http.Request, most int64, to any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	dec.DisallowUnknownFields()
	err := dec.Decode(to)
	if err == nil {
		if _, more := dec.Token(); errors.Is(more, io.EOF) {
			return true
		}
		err = errors.New("expected one JSON object and nothing after it")
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		admin.WriteError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", most))
		return false
	}
	admin.WriteError(w, http.StatusBadRequest, "the body: "+err.Error())
	return false
}

// reply answers with JSON.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone if this fails
}
