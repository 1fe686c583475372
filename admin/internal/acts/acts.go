// Package acts puts on record what people have done by the API besides changes of the catalogue, which
// are on record themselves.
package acts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
)

// Act is what someone asks for.
type Act struct {
	// Action is the name of the operation, Pattern its path.
	Action, Pattern string
	// Given are the parameters that matter; what is "" is left out. No secret may be among them, nor an
	// object's key.
	Given Given
	// First says that it gives data or access away: nothing is done while it can't be put on record.
	First bool
}

// Given are parameters by their names.
type Given map[string]string

// Query takes parameters of a request's query.
func Query(q *request.Request, names ...string) Given {
	g := make(Given)
	for _, name := range names {
		g[name] = q.Query(name)
	}
	return g
}

// Recorder writes a record of who is in the context.
type Recorder interface {
	Acted(ctx context.Context, b audit.ActionBody) error
}

// patience bounds how long an answer waits for the record of what was done.
const patience = 5 * time.Second

// Do has a request's handler do what was asked for, and puts it on record.
func Do(q *request.Request, in Recorder, a *Act, handle func() error) error {
	body := a.body(q)
	if a.First {
		body.State = audit.ActionBegun
		if err := in.Acted(q.R.Context(), body); err != nil {
			return fmt.Errorf("nothing was done, because it can't be put on record: %w", err)
		}
	}
	record := func(b audit.ActionBody) {
		// It was done: that its client has gone does not undo it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(q.R.Context()), patience)
		defer cancel()
		if err := in.Acted(ctx, b); err != nil {
			by := audit.CallerOf(ctx)
			q.Log.Error("an action is not on record in the audit", zap.String("action", b.Action), zap.String("resource", b.Resource), zap.String("name", b.Name),
				zap.Any("with", b.With), zap.String("state", string(b.State)), zap.String("actor", by.Who), zap.String("address", by.Address), zap.String("request_id", by.Request), zap.Error(err))
		}
	}
	if !a.First {
		// The record is made before the client has the answer.
		q.W = &answer{ResponseWriter: q.W, done: func() {
			body.State = audit.ActionDone
			record(body)
		}}
	}
	err := handle()
	if err == nil {
		return nil
	}
	status := cmp.Or(request.StatusOf(err), http.StatusInternalServerError)
	if errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusServiceUnavailable
	}
	// What was refused was not begun; of what failed a part may have been done.
	if a.First || status >= http.StatusInternalServerError {
		body.State, body.Status = audit.ActionFailed, status
		record(body)
	}
	return err
}

// body returns the record, which has no state yet.
func (a *Act) body(q *request.Request) audit.ActionBody {
	b := audit.ActionBody{Action: a.Action}
	for prefix, kind := range map[string]catalog.Kind{"/fado/buckets/{name}": catalog.KindBucket, "/fado/clusters/{name}": catalog.KindCluster} {
		if strings.HasPrefix(a.Pattern, prefix) {
			b.Resource, b.Name = string(kind), short(q.Name())
		}
	}
	for name, value := range a.Given {
		if value == "" {
			continue
		}
		if b.With == nil {
			b.With = make(map[string]string)
		}
		b.With[name] = short(value)
	}
	return b
}

// longest is how much of a text is on record, in bytes: what names nothing can be of any length.
const longest = 256

func short(text string) string {
	if len(text) <= longest {
		return text
	}
	for text = text[:longest]; len(text) > 0; text = text[:len(text)-1] {
		if r, size := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || size > 1 {
			break
		}
	}
	return text + "…"
}

// answer calls done before the first byte of an answer that says so.
type answer struct {
	http.ResponseWriter
	done func()
	told bool
}

// WriteHeader implements http.ResponseWriter.
func (w *answer) WriteHeader(status int) {
	if status >= http.StatusOK && !w.told {
		w.told = true
		if status < http.StatusMultipleChoices {
			w.done()
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *answer) Write(b []byte) (int, error) {
	if !w.told {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Interface guards
var _ http.ResponseWriter = (*answer)(nil)
