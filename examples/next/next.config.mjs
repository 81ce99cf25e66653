import path from "node:path";

// #region config
export default {
	experimental: { proxyClientMaxBodySize: "1gb" }, // what proxy.js lets through of a body; 10 MB otherwise
	// #endregion
	// The client is linked from this repository. One that npm has installed needs no root.
	turbopack: { root: path.join(import.meta.dirname, "../..") },
};
