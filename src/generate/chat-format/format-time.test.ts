import { expect, it } from "vitest";
import { formatTime } from "./format-time.ts";

it("writes what Python's strftime writes", () => {
  const time = new Date(2024, 6, 4, 15, 5, 9);
  expect(formatTime(time, "%d %b %Y, %A %B %m/%d/%y %H:%M:%S %I %p %a 100%%")).toBe(
    "04 Jul 2024, Thursday July 07/04/24 15:05:09 03 PM Thu 100%",
  );
  expect(formatTime(new Date(2024, 0, 1, 0), "%I %p")).toBe("12 AM");
  expect(formatTime(time, "%Q %")).toBe("%Q %");
});
