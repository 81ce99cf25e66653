package catalog

import "mana.how/edge/creditcore"

// DefaultPackages are for sale where an admin names none: one cent a credit.
func DefaultPackages() []PackageSeed {
	var packages []PackageSeed
	for _, n := range []int64{100, 500, 1000} {
		p := PackageSeed{Credits: creditcore.Credits(n), PriceEuroCents: n}
		p.Name = p.Credits.String() + " Credits"
		packages = append(packages, p)
	}
	return packages
}
