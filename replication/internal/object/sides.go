package object

import "github.com/fado-project/fado/replication/internal/site"

// Sides are the two storages that an object is compared at.
type Sides struct{ Src, Dst *site.Site }
