package site

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/fado-project/fado/storage"
)

// How old a list of buckets may be; and however long it took to make, it is believed for a
// hundred times as long, so that a storage with very many buckets is not asked all the time.
const (
	birthsAge    = 30 * time.Second
	birthsLately = time.Second
	birthsShare  = 100
)

// Births is what a storage told of when its buckets were made.
type Births struct {
	o      *Options
	reader storage.Reader
	flight singleflight.Group

	mu    sync.Mutex
	dates map[string]time.Time // by physical bucket; nil: to be asked
	began time.Time
	took  time.Duration
	turn  int // how often all was forgotten
}

// forget has the next question ask the storage; what is being asked now is not remembered.
func (b *Births) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dates = nil
	b.turn++
}

func (b *Births) turns() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.turn
}

// of returns a bucket's date if one is remembered that is not older than age.
func (b *Births) of(physical string, age time.Duration, now time.Time) (born time.Time, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dates == nil || now.Sub(b.began) > max(age, birthsShare*b.took) {
		return born, false
	}
	return b.dates[physical], true
}

func (b *Births) note(dates map[string]time.Time, turn int, began, now time.Time) {
	if dates == nil {
		dates = make(map[string]time.Time)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.turn != turn {
		return
	}
	b.dates, b.began, b.took = dates, began, now.Sub(began)
}

// Changed notes that FaDO made or removed a bucket there: a bucket of the same name that is made
// again was made at another time.
func (b *Births) Changed() { b.forget() }

// Of returns when a bucket was made, by a list of buckets that may be half a minute old;
// zero where the storage does not tell, or does not let these credentials know.
func (b *Births) Of(ctx context.Context, bucket string) (time.Time, error) {
	return b.ask(ctx, bucket, birthsAge)
}

// Lately is Of by a list that is not older than a second, unless making it takes long.
func (b *Births) Lately(ctx context.Context, bucket string) (time.Time, error) {
	return b.ask(ctx, bucket, birthsLately)
}

// Now is Of by a list made now.
func (b *Births) Now(ctx context.Context, bucket string) (time.Time, error) {
	dates, err := b.list(ctx)
	return dates[b.reader.Physical(bucket)], err
}

func (b *Births) ask(ctx context.Context, bucket string, age time.Duration) (time.Time, error) {
	physical := b.reader.Physical(bucket)
	if at, known := b.of(physical, age, b.o.Now()); known {
		return at, nil
	}
	v, err, _ := b.flight.Do(strconv.Itoa(b.turns()), func() (any, error) { return b.list(ctx) })
	dates, _ := v.(map[string]time.Time)
	return dates[physical], err
}

func (b *Births) list(ctx context.Context) (map[string]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timing.CallTimeout)
	defer cancel()
	began, turn := b.o.Now(), b.turns()
	dates, err := b.reader.Births(ctx)
	if errors.Is(err, storage.ErrUnsupported) || errors.Is(err, storage.ErrDenied) {
		dates, err = nil, nil
	}
	if err == nil {
		b.note(dates, turn, began, b.o.Now())
	}
	return dates, err
}
