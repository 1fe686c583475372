package move

import (
	"context"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/site"
)

// parting is when users' writes through FaDO went from one primary to the next: all of them wait
// in between. In doubt, as on another instance, there is none.
type parting struct {
	from, to string
	left     time.Time // by the old one's clock, in whole seconds: all were made there before
	came     time.Time // by the new one's clock: none was made there before
}

// mostPartings bounds how many moves are remembered.
const mostPartings = 10_000

// partPatience bounds the wait for the second to turn.
const partPatience = 3 * time.Second

// partings are the last moves of primaries by this instance.
type partings struct {
	o  *Options
	by *memory.Memory[string, parting] // by bucket
}

func newPartings(o *Options) *partings {
	return &partings{o, memory.New[string, parting](mostPartings, 0, o.Now)}
}

// of returns the last one of a bucket.
func (p *partings) of(bucket string) parting {
	last, _ := p.by.Get(bucket)
	return last
}

// wait has the second turn by the old primary's clock, so that what users write behind the move is
// told by its time from what they wrote before. On a store of its own the instance knows what it
// copied, and nobody has to wait.
func (p *partings) wait(ctx context.Context, bucket string, old *site.Site, target string) {
	p.by.Drop(bucket)
	next, err := p.o.Sites.Usable(target)
	if !p.o.Control.Shared() || err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, partPatience)
	defer cancel()
	behind, err := old.Reader().Now(ctx) // at most a second behind its clock, and the way of an answer
	if err != nil {
		return
	}
	h := parting{from: old.Name(), to: target, left: behind.Add(3 * time.Second / 2).Truncate(time.Second).Add(time.Second)}
	for behind.Before(h.left) {
		if !delay.Sleep(ctx, h.left.Sub(behind)) {
			return
		}
		if behind, err = old.Reader().Now(ctx); err != nil {
			return
		}
	}
	if h.came, err = next.Reader().Now(ctx); err == nil {
		p.by.Note(bucket, h)
	}
}
