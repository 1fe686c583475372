package walk

import (
	"context"
	"time"

	"github.com/fado-project/fado/storage"
)

// clocks tells by the times in two listings what their ETags can't: that an object was
// written again with the same content, and may have other headers or tags.
//
// Never "in step" by default: between storages that keep an original's time, objects with
// different times are asked for; elsewhere those that were written at the primary after
// their copy was, by one clock. A change within the second in which an object was copied
// is left to the feeds and to verifications that read.
type clocks struct {
	exact bool          // both keep an original's time
	ahead time.Duration // the primary's clock before the copy's
}

// clockNoise is what two storages' clocks, told in whole seconds, may seem to differ by.
const clockNoise = 2 * time.Second

func (w *pass) compareClocks(ctx context.Context) (c clocks, err error) {
	srcKeeps, err := w.src.Reader().KeepsTimes(ctx)
	if err != nil {
		return c, err
	}
	dstKeeps, err := w.dst.Reader().KeepsTimes(ctx)
	if err != nil || srcKeeps && dstKeeps {
		return clocks{exact: true}, err
	}
	there, err := w.src.Clock(ctx)
	if err != nil {
		return c, err
	}
	here, err := w.dst.Clock(ctx)
	if c.ahead = there.Sub(here); c.ahead.Abs() <= clockNoise {
		c.ahead = 0
	}
	return c, err
}

// doubts reports whether two objects of equal content have to be asked for.
func (c clocks) doubts(src, dst storage.Object) bool {
	if c.exact {
		return !src.LastModified.Truncate(time.Millisecond).Equal(dst.LastModified.Truncate(time.Millisecond))
	}
	return src.LastModified.Add(-c.ahead).Truncate(time.Second).After(dst.LastModified.Truncate(time.Second))
}
