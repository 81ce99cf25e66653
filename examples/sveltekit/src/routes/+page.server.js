// #region load
export function load({ locals }) {
	return { email: locals.user.email };
}
// #endregion
