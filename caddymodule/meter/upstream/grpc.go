package upstream

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mana.how/edge/caddymodule/meter/price"
)

// grpcCode is a status code of gRPC (grpc/grpc, doc/statuscodes.md).
type grpcCode int

// The codes that decide what a call costs.
const (
	GRPCUnknown     grpcCode = -1 // none was said
	grpcOK          grpcCode = 0
	GRPCUnavailable grpcCode = 14
)

// HeaderGRPCStatus is the trailer, or the header of an answer without a body, that
// tells the status of a call.
const HeaderGRPCStatus = "Grpc-Status"

// grpcCodes are the names of the codes, by number.
var grpcCodes = []string{
	"ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
	"resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable",
	"data_loss", "unauthenticated",
}

// parseGRPCCode reads a number or a name, whose case does not matter.
func parseGRPCCode(text string) (grpcCode, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return grpcCode(n), price.Digits(text) && n < len(grpcCodes)
	}
	n := slices.Index(grpcCodes, strings.ToLower(strings.ReplaceAll(text, "-", "_")))
	return grpcCode(n), n >= 0
}

// IsGRPC reports whether the response is one of gRPC (grpc/grpc,
// doc/PROTOCOL-HTTP2.md), whose outcome stands in its trailer. gRPC-Web keeps
// its own in the body.
func IsGRPC(h http.Header) bool {
	contentType := strings.ToLower(h.Get("Content-Type"))
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// GRPCCodeOf is the code that a header or trailer tells.
func GRPCCodeOf(values []string) grpcCode {
	if len(values) == 0 {
		return GRPCUnknown
	}
	n, err := strconv.Atoi(strings.TrimSpace(values[0]))
	if err != nil || n < 0 {
		return GRPCUnknown
	}
	return grpcCode(n)
}
