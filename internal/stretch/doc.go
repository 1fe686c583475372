// Package stretch says what it costs to try one passphrase against the secrets of a store.
//
// Tests open stores by the hundred and run at the least cost that a store accepts
// (internal/testenv asks for it); in the product the cost never changes.
package stretch
