import { getArguments } from "wasi:cli/environment@0.2.0";

export const run = {
  run() {
    console.log("hello from {{name}}");
    for (const argument of getArguments().slice(1)) console.log(`argument: ${argument}`);
  },
};
