"""The replica: Paxos, machine and master behind one door."""
