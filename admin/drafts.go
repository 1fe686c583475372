package admin

import (
	"errors"

	"github.com/evanphx/json-patch/v5"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/admin/internal/secrets"
	"github.com/fado-project/fado/catalog"
)

// drafts makes resources of what clients send.
type drafts struct {
	// declared is what errors compare a body with. It may be a moment old: what a change
	// does is judged again in its transaction.
	declared catalog.Lookup
	// allowed are the placeholders that secrets may be.
	allowed catalog.SecretPatterns
}

func draftsOf(b *backend) drafts { return drafts{b.catalogue.Router().Snapshot(), b.secrets} }

// decode reads a resource strictly and gives it the name of its path, if there is one.
func (d drafts) decode(kind catalog.Kind, body []byte, name string) (catalog.Resource, error) {
	return catalog.DecodeNamed(kind, body, name, d.declared)
}

// merged applies a merge patch to what clients see of a resource, so that a patch can
// no more read a secret than a GET can.
func (d drafts) merged(now catalog.Resource, patch []byte) (catalog.Resource, error) {
	shown := now.Clone()
	secrets.Redact(shown)
	doc, err := catalog.EncodeResource(shown)
	if err != nil {
		return nil, err
	}
	if doc, err = jsonpatch.MergePatch(doc, patch); err != nil {
		return nil, request.Bad("merge patch: %v", err)
	}
	next, err := d.decode(now.ResourceKind(), doc, now.ResourceName())
	if err != nil {
		return nil, err
	}
	return next, d.fill(next, now)
}

// fill puts what is stored where a client sent "***". now is what is stored, nil
// for nothing. Where it can't, the error names everything that is wrong with the
// resource.
func (d drafts) fill(r, now catalog.Resource) error {
	wrong := secrets.Fill(r, now, d.allowed)
	if wrong == nil {
		return nil
	}
	if invalid, ok := errors.AsType[*catalog.ValidationError](catalog.ValidateResource(r, d.declared)); ok {
		wrong = append(wrong, invalid.Violations...)
	}
	return &catalog.ValidationError{Violations: wrong}
}
