package request

import (
	"bytes"
	"net/http"

	"go.uber.org/zap"
)

// Array streams a JSON array as the answer. Nothing is sent before the first item or the end,
// so an error up to then still gets its own status.
type Array struct {
	to      *Request
	started bool
	buf     bytes.Buffer
}

// NewArray begins the answer of a request.
func NewArray(q *Request) *Array { return &Array{to: q} }

func (a *Array) start() {
	if a.started {
		return
	}
	a.started = true
	a.to.W.Header().Set("Content-Type", "application/json")
	a.buf.WriteByte('[')
}

// Add adds an item. An error is that the client is gone, or that the item can't be encoded.
func (a *Array) Add(v any) error {
	if a.started {
		a.buf.WriteString(",")
	}
	a.start()
	if err := Encode(&a.buf, v); err != nil {
		return err
	}
	a.buf.Truncate(a.buf.Len() - 1) // the encoder's line end
	if a.buf.Len() < 64<<10 {
		return nil
	}
	return a.flush()
}

func (a *Array) flush() error {
	_, err := a.buf.WriteTo(a.to.W)
	return err
}

// Close ends the array.
func (a *Array) Close() error {
	a.start()
	a.buf.WriteString("]\n")
	// The client is gone if this fails, so there is no one to report the error to.
	_ = a.flush()
	return nil
}

// Fail ends a list that can't continue: with the error while nothing was sent, else by
// cutting the connection, since a short list must not look like a whole one.
func (a *Array) Fail(err error) error {
	if !a.started {
		return err
	}
	a.to.Log.Error("a list was cut short", zap.String("path", a.to.R.URL.Path), zap.Error(err))
	panic(http.ErrAbortHandler)
}
