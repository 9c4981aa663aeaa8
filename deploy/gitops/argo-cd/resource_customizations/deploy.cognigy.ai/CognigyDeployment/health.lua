-- The status follows kstatus (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md): Reconciling
-- and Stalled exist only while they are True, and never both. Ready exists as soon as the operator has seen the resource.
-- kstatus has no word for a rollout that spec.suspend holds back. For it, only Ready is False, with the reason Suspended.

local function health(status, message)
  return { status = status, message = message }
end

if obj.status == nil or obj.status.observedGeneration == nil then
  return health("Progressing", "the operator has not seen this resource yet")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "the operator has not seen this version of the resource yet")
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end

local function says(condition)
  return condition.reason .. ": " .. (condition.message or "")
end

local function is_true(condition)
  return condition ~= nil and condition.status == "True"
end

-- The rollout has passed its checks and waits for people or for a change window. It goes on by itself when they are done, but the
-- application should not look busy for days.
local waits_for = {
  AwaitingApproval = true,
  ApprovalExpired = true,
  ApproverUnverified = true,
  WindowClosed = true,
}

if is_true(conditions.Reconciling) and waits_for[conditions.Reconciling.reason] then
  return health("Suspended", says(conditions.Reconciling))
end
if is_true(conditions.Reconciling) then
  return health("Progressing", says(conditions.Reconciling))
end
if is_true(conditions.Stalled) then
  return health("Degraded", says(conditions.Stalled))
end

local ready = conditions.Ready
if ready == nil then
  return health("Progressing", "the operator has not said yet how this resource stands")
end
if ready.status == "True" then
  return health("Healthy", says(ready))
end
if ready.status == "False" and ready.reason == "Suspended" then
  return health("Suspended", says(ready))
end
return health("Progressing", says(ready))
