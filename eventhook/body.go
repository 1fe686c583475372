package eventhook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// What bodies may cost. Storages send events one by one, or a few; a large body is
// refused before it is read while those before it are paid for, so that their sender has
// no more than a small part of a processor, and events in small ones are taken meanwhile.
const (
	maxBody     = 4 << 20          // bytes of a body
	parsing     = 2                // bodies parsed at a time, which takes ten times their size
	largeBody   = 64 << 10         // bytes, from which on a body is large
	largeBodies = 4                // held at a time
	largeTime   = 30 * time.Second // for the sender to send one
	bytesAtOnce = 2 * maxBody
	bytesPerSec = maxBody
)

// intake bounds what is read and parsed of what senders send.
type intake struct {
	large chan struct{} // places for large bodies
	parse chan struct{} // places for bodies that are parsed
	bytes *rate.Limiter // of all bodies; large ones wait until it has some left
}

func newIntake() intake {
	return intake{
		large: make(chan struct{}, largeBodies), parse: make(chan struct{}, parsing),
		bytes: rate.NewLimiter(bytesPerSec, bytesAtOnce),
	}
}

// body reads a request's body; the place that a large one takes is left with leave. The error's
// text is for the sender.
func (i intake) body(w http.ResponseWriter, r *http.Request) (body []byte, leave func(), status int, err error) {
	leave = func() {}
	var b bytes.Buffer
	from := http.MaxBytesReader(w, r.Body, maxBody)
	_, err = io.CopyN(&b, from, largeBody)
	if err == nil { // there may be more
		if leave, status, err = i.enter(w); err != nil {
			return nil, nil, status, err
		}
		_, err = b.ReadFrom(from)
	}
	if err == nil || errors.Is(err, io.EOF) {
		i.bytes.ReserveN(time.Now(), b.Len())
		return b.Bytes(), leave, 0, nil
	}
	leave()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", maxBody)
	}
	w.Header().Set("Retry-After", "5") // for a sender that was too slow; others are gone
	return nil, nil, http.StatusServiceUnavailable, fmt.Errorf("reading the body: %w: none of its records was noted; send them again", err)
}

// enter takes a place for the rest of a large body, whose sender has so long to send it.
func (i intake) enter(w http.ResponseWriter) (leave func(), status int, err error) {
	if left := i.bytes.Tokens(); left < 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(-left/bytesPerSec))))
		return nil, http.StatusServiceUnavailable, fmt.Errorf(
			"more than %d bytes a second in bodies larger than %d: none of these records was noted; send them again", bytesPerSec, largeBody)
	}
	select {
	case i.large <- struct{}{}:
	default:
		w.Header().Set("Retry-After", "5")
		return nil, http.StatusServiceUnavailable, fmt.Errorf(
			"%d bodies larger than %d bytes are being read, as many as may: none of these records was noted; send them again", largeBodies, largeBody)
	}
	conn := http.NewResponseController(w)
	timed := conn.SetReadDeadline(time.Now().Add(largeTime)) == nil // else the server is one that can't
	return func() {
		if timed {
			_ = conn.SetReadDeadline(time.Time{})
		}
		<-i.large
	}, 0, nil
}
