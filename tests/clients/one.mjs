// Runs one test: `one.mjs node/login.mjs a_wrong_password_is_refused`.
import { pathToFileURL } from 'node:url';

const [script, test] = process.argv.slice(2);
const module = await import(pathToFileURL(script));
await module[test]();
process.exit(0);
