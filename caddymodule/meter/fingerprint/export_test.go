package fingerprint

var (
	WithoutBoundary = withoutBoundary
	Boundary        = BoundaryOf
)
