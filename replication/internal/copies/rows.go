package copies

import (
	"slices"

	"github.com/fado-project/fado/state"
)

// CarryingOver reports whether a former primary's last writes are yet to be compared.
func CarryingOver(rows []state.Copy) bool {
	return slices.ContainsFunc(rows, func(c state.Copy) bool { return c.FormerPrimary })
}

// EverVerified reports whether the primary's bucket was seen, or compared with, before.
func EverVerified(rows []state.Copy) bool {
	return slices.ContainsFunc(rows, func(c state.Copy) bool { return !c.VerifiedAt.IsZero() })
}
