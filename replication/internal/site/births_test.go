package site

import (
	"context"
	"testing"
	"time"

	"github.com/fado-project/fado/storage"
)

// lister tells of births, and counts how often it is asked.
type lister struct {
	storage.Reader
	asked int
	dates map[string]time.Time
	err   error
}

func (l *lister) Physical(bucket string) string { return "p-" + bucket }

func (l *lister) Births(context.Context) (map[string]time.Time, error) {
	l.asked++
	return l.dates, l.err
}

func TestBirths(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	born := now.Add(-time.Hour)
	l := &lister{dates: map[string]time.Time{"p-b": born}}
	b := &Births{o: &Options{Now: func() time.Time { return now }, Timing: Timing{CallTimeout: time.Minute}}, reader: l}
	want := func(asked int, at time.Time, f func(context.Context, string) (time.Time, error), bucket string) {
		t.Helper()
		got, err := f(t.Context(), bucket)
		if err != nil || !got.Equal(at) || l.asked != asked {
			t.Fatalf("%v, %v after %d questions; want %v after %d", got, err, l.asked, at, asked)
		}
	}
	want(1, born, b.Of, "b")
	want(1, time.Time{}, b.Of, "none")
	want(1, born, b.Lately, "b")
	now = now.Add(2 * time.Second)
	want(1, born, b.Of, "b")
	want(2, born, b.Lately, "b")
	want(3, born, b.Now, "b")
	now = now.Add(31 * time.Second)
	want(4, born, b.Of, "b")
	b.forget()
	l.dates, l.err = nil, storage.ErrDenied // nothing is known then, and that is not asked again either
	want(5, time.Time{}, b.Of, "b")
	want(5, time.Time{}, b.Of, "b")
	l.err = storage.ErrUnavailable
	if _, err := b.Now(t.Context(), "b"); err == nil {
		t.Error("a failure is taken for an answer")
	}

	// A list that takes long to make is believed longer.
	b.note(map[string]time.Time{"p-b": born}, b.turns(), now, now.Add(time.Second))
	now = now.Add(90 * time.Second)
	want(6, born, b.Lately, "b")
}

// A list that was asked for before FaDO made or removed a bucket is not remembered.
func TestBirthsOfChangedBuckets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b Births
	turn := b.turns()
	b.forget()
	b.note(map[string]time.Time{"p-b": now}, turn, now, now)
	if _, known := b.of("p-b", time.Minute, now); known {
		t.Error("what a bucket was before is taken for what it is")
	}
	b.note(map[string]time.Time{"p-b": now}, b.turns(), now, now)
	if at, known := b.of("p-b", time.Minute, now); !known || !at.Equal(now) {
		t.Error("an answer is not remembered")
	}
}
