// Runs the tests of one script as they are named on the standard input, and answers each with one line.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

console.log = console.error;
const module = await import(pathToFileURL(process.argv[2]));
for await (const test of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = `passed ${JSON.stringify(String((await module[test]()) ?? ''))}`;
  } catch (error) {
    console.error(error);
    answer = 'failed';
  }
  process.stdout.write(`${answer}\n`);
}
process.exit(0);
