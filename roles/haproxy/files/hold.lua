-- Copyright (c) 2026 ringmaster.webops contributors
-- GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- `http-request lua.ringmaster_hold TABLE VARIABLES` waits until one of the sessions in the variables (separated by
-- commas) is in the table. A worker that has just begun takes connections some milliseconds before the worker before it
-- has handed the table on, and would balance whoever has a session anew.
--
-- It waits in the first seconds alone, a second at most, and looks seldom when it takes long, because whoever invents
-- ids waits too. Then it sets `proc.sid_worker_is_settled`, by which the configuration does without it.

local BEGINNING_SECONDS = 5
local FIRST_PAUSE_MS = 4
local LAST_PAUSE_MS = 512

local is_settled = false

core.register_task(function()
    core.sleep(BEGINNING_SECONDS)
    is_settled = true
end)

local function sessions(txn, variables)
    local found = {}
    for variable in variables:gmatch("[^,]+") do
        found[#found + 1] = txn:get_var(variable)
    end
    return found
end

local function is_known(txn, table_name, found)
    for _, session in ipairs(found) do
        if txn.c:in_table(session, table_name) == 1 then
            return true
        end
    end
    return false
end

core.register_action("ringmaster_hold", { "http-req" }, function(txn, table_name, variables)
    local found = sessions(txn, variables)
    local pause_ms = FIRST_PAUSE_MS
    while #found > 0 and pause_ms <= LAST_PAUSE_MS and not is_settled and not is_known(txn, table_name, found) do
        core.msleep(pause_ms)
        pause_ms = pause_ms * 2
    end
    if is_settled then
        txn:set_var("proc.sid_worker_is_settled", true)
    end
end, 2)
