package documents

import (
	"bytes"
	"io"
	"net/http"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/admin/internal/secrets"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/document"
)

const (
	// maxSpool is up to what size an export is held until it is known to be of one revision:
	// that of the largest document that can be planned and applied.
	maxSpool = document.MaxBytes
	// exportTries is how often the catalogue is read because it changed meanwhile.
	exportTries = 5
	// exportChunk is how many resources are read at a time.
	exportChunk = 1000
)

// Export answers with the catalogue as a document. Invariant: with an ETag, the document is
// the catalogue at that revision; it has none where the catalogue changed all the while it was read,
// or is larger than what is held here.
func (h *Handler) Export(q *request.Request) error {
	format, media := document.JSON, "application/json"
	if q.Query("format") == string(document.YAML) {
		format, media = document.YAML, "application/yaml"
	}
	for try := 1; ; try++ {
		spool := &spool{begin: func() io.Writer {
			q.W.Header().Set("Content-Type", media)
			return q.W
		}}
		before, unknown := h.Catalogue.Store().Catalogue().Revision(q.R.Context())
		err := h.export(q, document.NewWriter(spool, format))
		switch {
		case err != nil && spool.out == nil:
			return err
		case err != nil:
			q.Log.Error("an export was cut short", zap.Error(err))
			panic(http.ErrAbortHandler) // a part must not look like the whole
		}
		if spool.out == nil && unknown == nil { // a mirror has the catalogue, but not its revision
			after, err := h.Catalogue.Store().Catalogue().Revision(q.R.Context())
			switch {
			case err == nil && after == before:
				q.W.Header().Set("ETag", revisionTag(before))
			case err == nil && try < exportTries:
				continue
			}
		}
		spool.end()
		return nil
	}
}

// spool holds what is written to it, up to maxSpool; from then on it passes all of it on.
type spool struct {
	held  bytes.Buffer
	begin func() io.Writer
	out   io.Writer // where it is passed on to; nil while it is held
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	if s.out == nil && s.held.Len()+len(p) > maxSpool {
		s.end()
	}
	if s.out != nil {
		return s.out.Write(p)
	}
	return s.held.Write(p)
}

// end passes on what is held. That the client is gone is found by the next write, or by no one.
func (s *spool) end() {
	if s.out == nil {
		s.out = s.begin()
		_, _ = s.held.WriteTo(s.out)
	}
}

// export writes all resources that are asked for.
func (h *Handler) export(q *request.Request, w *document.Writer) error {
	for _, kind := range document.Kinds {
		if err := h.exportKind(q, w, kind); err != nil {
			return err
		}
	}
	return w.Close()
}

// exportKind writes the resources of a kind.
func (h *Handler) exportKind(q *request.Request, w *document.Writer, kind catalog.Kind) error {
	for after := ""; ; {
		items, err := h.Catalogue.List(q.R.Context(), kind, after, exportChunk)
		if err != nil {
			return err
		}
		for _, it := range items {
			if it.Origin == control.OriginConfig && q.Query("origin") != "all" {
				continue
			}
			secrets.Redact(it.Resource)
			if err := w.Item(it.Resource); err != nil {
				return err
			}
		}
		if len(items) < exportChunk {
			return nil
		}
		after = items[len(items)-1].Resource.ResourceName()
	}
}
