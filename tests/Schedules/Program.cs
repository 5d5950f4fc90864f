using System.Diagnostics;
using MetaStore.Schedules;
using MetaStore.Schedules.Scheduling;

using var s = new Scheduler();
foreach (var c in Catalogue.All.Where(c => args.Length == 0 || c.Name.StartsWith(args[0], StringComparison.Ordinal)))
{
    int steps=0;
    foreach (int bound in c.IsTwin ? new[]{1,2} : new[]{1,2,3}) {
    var t = Stopwatch.StartNew();
    var r = s.Explore(c.Create(), new Capped(new ExhaustiveStrategy(bound), 400000));
    Console.WriteLine($"{c} ex{bound}: {r.Schedules} steps {r.StepsMax} {r.Failure?.Message} {r.Choices} {r.Schedules / t.Elapsed.TotalSeconds:F0}/s");
    steps = r.StepsMax;
    if (r.Schedules>100000 || r.Failure!=null) break;
    }
    var t2 = Stopwatch.StartNew();
    var r2 = s.Explore(c.Create(), new PctStrategy(1, 20000, steps));
    Console.WriteLine($"  pct {r2.Schedules} steps {r2.StepsMax} {r2.Failure?.Message} {r2.Choices} {r2.Schedules / t2.Elapsed.TotalSeconds:F0}/s");
}
class Capped(IStrategy s, long n):IStrategy { public bool TryBegin(int t)=> n-->0 && s.TryBegin(t); public int Choose(int c,uint e)=>s.Choose(c,e); public void End()=>s.End(); }
