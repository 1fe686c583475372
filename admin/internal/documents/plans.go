package documents

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/document"
)

const (
	// plannedMoves is how many moves of a plan are kept for its following pages.
	plannedMoves = 20_000
	// plannedFor is how long they are kept.
	plannedFor = 30 * time.Second
)

// prospect is a document held against one version of the catalogue.
type prospect struct {
	at      *control.Catalogue
	changes *document.Comparison
	outlook *document.Outlook
}

// Plans keeps the last plan that a page was shown of, so that its following pages need not be
// worked out again, and tell of the same. The first page of a plan is always a new one.
type Plans struct {
	mu    sync.Mutex
	of    planKey
	last  *prospect
	until *time.Timer // of last
}

// planKey names a document, as it was sent.
type planKey [sha256.Size]byte

func planKeyOf(format document.Format, body []byte) planKey {
	return sha256.Sum256(append([]byte(format+"\n"), body...))
}

// page returns a page of the plan that is kept, nil if it is not that of a document and a
// catalogue, or does not have the page.
func (k *Plans) page(of planKey, at *control.Catalogue, page document.Page) *prospect {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil || k.of != of || !k.last.at.Same(at) {
		return nil
	}
	outlook, ok := k.last.outlook.Page(page)
	if !ok {
		return nil
	}
	return &prospect{k.last.at, k.last.changes, outlook}
}

// keep keeps a plan for a while, in place of the one before.
func (k *Plans) keep(of planKey, p *prospect) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.until != nil {
		k.until.Stop()
	}
	k.of, k.last = of, p
	k.until = time.AfterFunc(plannedFor, func() { k.drop(p) })
}

// drop forgets a plan, if it is still the one that is kept.
func (k *Plans) drop(p *prospect) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == p {
		k.last = nil
	}
}
