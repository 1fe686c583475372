package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
)

// defaultAuditKeep is for how long audit records are kept where nothing is said.
const defaultAuditKeep = 400 * 24 * time.Hour

// Audit says whether audit records are made, and for how long they are kept.
type Audit struct {
	// Whether no records are made. Default: false.
	Disabled bool `json:"disabled,omitempty"`
	// For how long records are kept. Default: 400d.
	Keep catalog.Duration `json:"keep,omitempty"`
	// Key that checkpoints are signed with, as `caddy fado audit key` makes it; a placeholder
	// such as {file./run/secrets/audit}. Default: checkpoints are not signed.
	Key string `json:"key,omitempty"`

	signer *audit.Signer
}

// provision reads the key, its placeholders replaced.
func (a *Audit) provision() error {
	if a == nil || a.Key == "" {
		return nil
	}
	key, err := resolveSecret(a.Key)
	if err != nil {
		return fmt.Errorf("audit.key: %w", err)
	}
	if key == someSecret {
		return nil // it is not known, and nothing is signed
	}
	if a.signer, err = audit.NewSigner(key); err != nil {
		return fmt.Errorf("audit.key: %w", err)
	}
	return nil
}

// signs returns what signs checkpoints, nil if nothing does.
func (a *Audit) signs() *audit.Signer {
	if a == nil {
		return nil
	}
	return a.signer
}

// keep returns for how long records are kept, 0 if none are made.
func (a *Audit) keep() time.Duration {
	switch {
	case a == nil || !a.Disabled && a.Keep == 0:
		return defaultAuditKeep
	case a.Disabled:
		return 0
	default:
		return time.Duration(a.Keep)
	}
}

// validate names what is out of its range.
func (a *Audit) validate() error {
	switch {
	case a == nil:
		return nil
	case a.Keep < 0:
		return fmt.Errorf("audit.keep: %q: expected a duration above 0 such as 400d", a.Keep)
	case a.Disabled && a.Keep != 0:
		return errors.New("audit.keep: expected nothing where audit.disabled is true")
	case a.Disabled && a.Key != "":
		return errors.New("audit.key: expected nothing where audit.disabled is true")
	default:
		return nil
	}
}
