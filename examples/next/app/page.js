// #region page
import { identity } from "@mana/edge/server";
import { headers } from "next/headers";

export default async function Page() {
	const { email } = identity(await headers());
	return <p>{`Hello, ${email}!`}</p>;
}
// #endregion
